//! One picture of the figures: another voice by loudness, delays, false incidents.

use std::fmt::Write as _;

use crate::figures::{Hourly, Rate, percentile};

/// What is drawn.
#[derive(Debug, Default)]
pub(crate) struct Plot {
    /// Recall by level in dB, for each way in which a voice comes in.
    pub(crate) voices: Vec<(&'static str, Vec<(f32, Rate)>)>,
    /// Delays in seconds by event.
    pub(crate) delays: Vec<(&'static str, Vec<f64>)>,
    /// False incidents by kind of honest minute.
    pub(crate) honest: Vec<(&'static str, Hourly)>,
}

impl Plot {
    /// Returns it as SVG; chapters that were not measured are left out.
    pub(crate) fn svg(&self) -> String {
        let mut svg = Svg::default();
        let mut top = 30.0;
        if !self.voices.is_empty() {
            top = self.draw_voices(&mut svg, top);
        }
        if !self.delays.is_empty() {
            top = self.draw_delays(&mut svg, top);
        }
        if !self.honest.is_empty() {
            top = self.draw_honest(&mut svg, top);
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {top:.0}\" \
             font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"{WIDTH}\" height=\"{top:.0}\" fill=\"#ffffff\"/>\n{}</svg>\n",
            svg.0
        )
    }

    fn draw_voices(&self, svg: &mut Svg, top: f64) -> f64 {
        svg.words(
            20.0,
            top,
            "start",
            "Another voice found, by how loud it is against the candidate's",
        );
        let (left, right, above, below) = (LEFT, 620.0, top + 24.0, top + 224.0);
        let x = |db: f32| left + (f64::from(db) + 21.0) / 22.0 * (right - left);
        let y = |share: f64| below - share * (below - above);
        for share in [0.0, 0.5, 0.9, 1.0] {
            svg.line([left, y(share), right, y(share)], GRID);
            svg.words(
                left - 8.0,
                y(share) + 4.0,
                "end",
                &format!("{:.0} %", share * 100.0),
            );
        }
        for db in [-20.0, -15.0, -10.0, -5.0, 0.0] {
            svg.words(x(db), below + 18.0, "middle", &format!("{db:.0} dB"));
        }
        for (number, (name, points)) in self.voices.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            let aside = (number_of(number) - 1.0) * 4.0;
            for pair in points.windows(2) {
                let [(from, one), (to, two)] = pair else {
                    continue;
                };
                let ends = [
                    x(*from) + aside,
                    y(one.share()),
                    x(*to) + aside,
                    y(two.share()),
                ];
                svg.line(ends, colour);
            }
            for (db, rate) in points {
                let (low, high) = rate.interval();
                let at = x(*db) + aside;
                svg.line([at, y(low), at, y(high)], colour);
                svg.dot(at, y(rate.share()), colour);
            }
            let row = above + 20.0 + 22.0 * number_of(number);
            svg.dot(650.0, row - 4.0, colour);
            svg.words(662.0, row, "start", name);
        }
        below + 60.0
    }

    fn draw_delays(&self, svg: &mut Svg, top: f64) -> f64 {
        svg.words(
            20.0,
            top,
            "start",
            "From the event to its flag in seconds: median, and 95 % are faster",
        );
        let x = |seconds: f64| LEFT + seconds / 25.0 * (800.0 - LEFT);
        let end = top + 20.0 + 24.0 * number_of(self.delays.len());
        for seconds in [0.0, 5.0, 10.0, 15.0, 20.0, 25.0] {
            svg.line([x(seconds), top + 12.0, x(seconds), end], GRID);
            svg.words(x(seconds), end + 16.0, "middle", &format!("{seconds:.0}"));
        }
        for (number, (name, seconds)) in self.delays.iter().enumerate() {
            let row = top + 28.0 + 24.0 * number_of(number);
            svg.words(LEFT - 8.0, row + 4.0, "end", name);
            let median = percentile(seconds, 50).unwrap_or_default();
            let most = percentile(seconds, 95).unwrap_or_default();
            svg.line([x(0.0), row, x(most.min(25.0)), row], COLOURS[0]);
            svg.dot(x(median.min(25.0)), row, COLOURS[0]);
            svg.line(
                [x(most.min(25.0)), row - 6.0, x(most.min(25.0)), row + 6.0],
                COLOURS[0],
            );
        }
        end + 60.0
    }

    fn draw_honest(&self, svg: &mut Svg, top: f64) -> f64 {
        svg.words(
            20.0,
            top,
            "start",
            "False incidents an hour of honest exam, with what so few hours leave open",
        );
        let most = self.honest.iter().map(|(_, hourly)| hourly.interval().1);
        let most = most.fold(10.0, f64::max);
        let x = |rate: f64| LEFT + rate / most * (800.0 - LEFT);
        let end = top + 20.0 + 20.0 * number_of(self.honest.len());
        for part in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let at = x(part * most);
            svg.line([at, top + 12.0, at, end], GRID);
            svg.words(at, end + 16.0, "middle", &format!("{:.0}", part * most));
        }
        for (number, (name, hourly)) in self.honest.iter().enumerate() {
            let row = top + 26.0 + 20.0 * number_of(number);
            let (low, high) = hourly.interval();
            svg.words(LEFT - 8.0, row + 4.0, "end", name);
            svg.line([x(low), row, x(high), row], COLOURS[1]);
            svg.dot(x(hourly.rate()), row, COLOURS[1]);
        }
        end + 40.0
    }
}

/// Elements of a picture.
#[derive(Debug, Default)]
struct Svg(String);

impl Svg {
    fn element(&mut self, element: &str) {
        // Writing into a text cannot fail.
        let _written = writeln!(self.0, "{element}").is_ok();
    }

    fn words(&mut self, x: f64, y: f64, anchor: &str, words: &str) {
        self.element(&format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#222222\">{words}</text>"
        ));
    }

    fn line(&mut self, [x, y, to_x, to_y]: [f64; 4], colour: &str) {
        self.element(&format!(
            "<path d=\"M{x:.1} {y:.1}L{to_x:.1} {to_y:.1}\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        ));
    }

    fn dot(&mut self, x: f64, y: f64, colour: &str) {
        self.element(&format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>"
        ));
    }
}

fn number_of(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

const WIDTH: u16 = 900;
const LEFT: f64 = 260.0;
const GRID: &str = "#dddddd";
const COLOURS: [&str; 3] = ["#1b5e9b", "#b3541e", "#2e7d32"];
