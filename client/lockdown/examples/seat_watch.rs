//! Prints what the display is taken for and what the seat watch tells, a line each, for so many
//! seconds: switch terminals meanwhile, with Ctrl+Alt+F2 and back.
//!
//! `cargo run -p qorgan-lockdown --example seat_watch -- 60`

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::time::{Duration, Instant};

use qorgan_lockdown::start_seat_watch;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds: u64 = std::env::args().nth(1).unwrap_or_default().parse()?;
    println!(
        "nested or remote: {:?}",
        qorgan_seat::platform::nested_words()
    );
    let terminal = qorgan_seat::platform::display(None).and_then(|display| display.terminal);
    println!("the server's terminal: {terminal:?}");
    let began = Instant::now();
    let watch = start_seat_watch(move |event| {
        let after = event.at.duration_since(began).as_millis();
        println!("{after} ms: {:?}", event.kind);
    })?;
    std::thread::sleep(Duration::from_secs(seconds));
    drop(watch);
    Ok(())
}
