//! The window: events to the core, the core's effects to the shell, the view to the screen.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, mpsc::Receiver},
    time::Duration,
};

use egui::{Context, TextureHandle, TextureOptions, Ui, ViewportCommand, vec2};
use qorgan_client_core::{
    Kiosk, Toolbox,
    event::{Event, Language},
};
use qorgan_protocol::{
    crypto::{Hasher as _, Sha256},
    local::Light,
    time::Now,
    wire::ClientEventKind,
};
use qorgan_signing::Ring;

use crate::{
    effects::{Bell, Clock, Effects, Lock, Outcome, PictureStore, StateFile, Times},
    pump::{Desk, Pump},
    read_back::ReadBack,
    ui::{
        kit::{Kit, Picture, PictureKey, Pictures, focused_name},
        layout_ui, style,
        text::Texts,
        tokens::Tokens,
        window_ui,
    },
};

/// The application.
#[derive(Debug)]
pub struct App {
    pump: Pump,
    lock: Lock,
    bell: Bell,
    clock: Clock,
    texts: Texts,
    textures: Textures,
    pictures: Arc<Mutex<PictureStore>>,
    state_file: Option<StateFile>,
    utc_offset_min: i32,
    adapter: bool,
    leaving: bool,
    /// Frames that were drawn, up to [`FRAMES_UNTIL_SHOWN`].
    frames: u8,
    settle: u8,
    renewed: Option<Now>,
    /// The window manager may still change the window.
    unsettled_until: Option<Now>,
    read_back: ReadBack,
    /// The light of the newest frame, and the one that the core knows of.
    light: Option<Light>,
    known_light: Option<Light>,
    /// What is written on the layout's button, and when it was read.
    layout: (Option<String>, Option<Now>),
}

impl App {
    /// Wraps what was started, and has events carried to the core.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn new(
        ctx: &Context,
        effects: Effects,
        (bell, events): (Bell, Receiver<Event>),
        lock: Lock,
        start: Start,
    ) -> std::io::Result<Self> {
        let kiosk = Kiosk::new(toolbox(), start.language, start.link);
        let (pictures, clock) = (effects.pictures(), start.clock);
        let read_back = ReadBack::start(ctx, effects.drawn());
        let window = ctx.clone();
        // Plain `request_repaint` draws twice.
        let redraw = move || window.request_repaint_after(SOON);
        let pump = Pump::start(Desk::new(kiosk, effects), events, clock, redraw)?;
        Ok(Self {
            pump,
            lock,
            bell,
            clock,
            texts: Texts::of(start.language),
            textures: Textures::default(),
            pictures,
            state_file: start.state_file,
            utc_offset_min: start.utc_offset_min,
            adapter: true,
            leaving: false,
            frames: 0,
            settle: 0,
            renewed: None,
            // The first frame is drawn into a window that is not mapped yet, and lost.
            unsettled_until: Some(start.clock.now() + UNSETTLED),
            read_back,
            light: None,
            known_light: None,
            layout: (None, None),
        })
    }

    fn handle(&mut self, ctx: &Context, event: Event) {
        self.pump.desk().handle(self.clock, event);
        self.finish(ctx);
    }

    /// Does what only the window's thread can do.
    fn finish(&mut self, ctx: &Context) {
        let outcomes = self.pump.desk().take_outcomes();
        for outcome in outcomes {
            match outcome {
                Outcome::Done => {}
                Outcome::Engage => {
                    self.lock.engage(&self.bell);
                    self.unsettled_until = Some(self.clock.now() + UNSETTLED);
                }
                Outcome::Renew => self.lock.renew(&self.bell),
                Outcome::Release => {
                    self.lock.release();
                    self.unsettled_until = Some(self.clock.now() + UNSETTLED);
                }
                Outcome::Accessibility(on) => self.adapter = on,
                Outcome::Quit => {
                    self.leaving = true;
                    ctx.send_viewport_cmd(ViewportCommand::Close);
                }
            }
        }
    }

    /// Renews the locks about once a second, with a frame that is drawn anyway where there is one.
    fn keep_locked(&mut self, ctx: &Context) {
        // Also where nothing is locked: a frame that was drawn while the window manager gave the
        // window another size is not left standing.
        ctx.request_repaint_after(RENEW_WITHIN);
        if !self.lock.is_engaged() {
            return;
        }
        let now = self.clock.now();
        let due = |renewed| now.since(renewed) >= RENEW_AFTER;
        if self.renewed.is_none_or(due) {
            self.renewed = Some(now);
            self.lock.renew(&self.bell);
        }
    }

    /// Draws often while the window manager takes a change of the window's state in: what was drawn
    /// for the former size is not left standing.
    fn settle_window(&self, ctx: &Context) {
        if self
            .unsettled_until
            .is_some_and(|until| self.clock.now() < until)
        {
            ctx.request_repaint_after(UNSETTLED_STEP);
        }
    }

    /// Reads the keyboard's layout now and then: a program may switch it too.
    fn read_layout(&mut self) {
        let now = self.clock.now();
        let due = |read| now.since(read) >= LAYOUT_EVERY;
        if self.layout.1.is_none_or(due) {
            self.layout = (self.lock.layout().map(|layout| layout.label()), Some(now));
        }
    }

    /// The adapter asks egui for a tree when a screen reader comes; while items are shown it is given
    /// none.
    fn guard_adapter(&self, ctx: &Context) {
        if !self.adapter {
            ctx.disable_accesskit();
        }
    }

    /// Tells the core which light was drawn: the frame is on the screen when the next one begins,
    /// which a change has follow at once.
    fn tell_light(&mut self, ctx: &Context) {
        if self.light != self.known_light {
            self.known_light = self.light;
            self.handle(ctx, Event::Drew(self.light));
        }
    }

    /// Counts a frame; tells whether an earlier one is already seen on the display.
    fn count_frame(&mut self) -> bool {
        if self.frames < FRAMES_UNTIL_SHOWN {
            self.frames = self.frames.saturating_add(1);
            if self.frames == FRAMES_UNTIL_SHOWN {
                let ms = self.clock.now().since_origin().as_millis();
                tracing::info!(ms, "The first screen is seen");
            }
        }
        self.frames >= FRAMES_UNTIL_SHOWN
    }

    fn guard_close(&mut self, ctx: &Context) {
        let asked = ctx.input(|input| input.viewport().close_requested());
        if asked && !self.leaving {
            ctx.send_viewport_cmd(ViewportCommand::CancelClose);
            self.handle(
                ctx,
                Event::Seen {
                    kind: ClientEventKind::CloseRefused,
                    detail: String::new(),
                },
            );
        }
    }
}

/// What the program was started with.
#[derive(Debug)]
pub struct Start {
    /// The interface's first language.
    pub language: Language,
    /// The enrolment link that is known.
    pub link: String,
    /// Minutes that the institution's clock is ahead of UTC.
    pub utc_offset_min: i32,
    /// The process's clock.
    pub clock: Clock,
    /// The file that tells tests where the kiosk is.
    pub state_file: Option<StateFile>,
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        self.tell_light(ctx);
        self.guard_close(ctx);
        self.handle(ctx, Event::Tick);
        self.keep_locked(ctx);
        self.settle_window(ctx);
        self.guard_adapter(ctx);
        self.read_layout();
        if self.lock.is_engaged() {
            self.read_back.look(self.clock.now());
        }
        fit_zoom(ctx);
        self.textures.update(ctx, &self.pictures);
    }

    fn ui(&mut self, ui: &mut Ui, frame: &mut eframe::Frame) {
        let (view, changed) = self.pump.desk().draw(self.clock);
        self.settle = if changed {
            self.read_back.drew_anew();
            SETTLE_FRAMES
        } else {
            self.settle.saturating_sub(1)
        };
        if self.settle > 0 {
            ui.ctx().request_repaint_after(SOON);
        }
        style::apply(ui.ctx(), view.reading, view.light);
        self.light = view.light;
        if self.texts.language() != view.language {
            self.texts = Texts::of(view.language);
        }
        let kit = Kit {
            tokens: Tokens::of(view.reading.theme, view.light),
            texts: &self.texts,
            reading: view.reading,
            pictures: &self.textures,
            utc_offset_min: self.utc_offset_min,
        };
        let intents = window_ui(ui, &view, &kit);
        let switches = layout_ui(ui.ctx(), &kit, self.layout.0.as_deref());
        let ctx = ui.ctx().clone();
        if switches {
            self.lock.switch_layout();
            self.layout.1 = None;
            ctx.request_repaint();
        }
        let acted = !intents.is_empty();
        for intent in intents {
            self.handle(&ctx, Event::Intent(intent));
        }
        if acted {
            ctx.request_repaint();
        }
        let shown = self.count_frame();
        if let Some(file) = self.state_file.as_mut().filter(|_| shown) {
            let times = Times {
                since_start: self.clock.now().since_origin(),
                frame: Duration::from_secs_f32(frame.info().cpu_usage.unwrap_or(0.0)),
            };
            if file.update(&view, focused_name(&ctx), times) {
                ctx.request_repaint_after(SOON);
            }
        }
    }

    fn clear_color(&self, _visuals: &egui::Visuals) -> [f32; 4] {
        [0.0, 0.0, 0.0, 1.0]
    }
}

/// Enlarges everything on a display with many pixels that its system does not scale.
fn fit_zoom(ctx: &Context) {
    let zoom = ctx.zoom_factor();
    let tall = ctx.content_rect().height() * zoom / TALL;
    let wanted = ((tall * 4.0).floor() / 4.0).clamp(1.0, 2.0);
    if (wanted - zoom).abs() > f32::EPSILON {
        ctx.set_zoom_factor(wanted);
    }
}

/// A lock that was looked at so lately is not looked at again.
const RENEW_AFTER: Duration = Duration::from_millis(800);
/// What loosens a lock without being seen holds little longer than this.
const RENEW_WITHIN: Duration = Duration::from_millis(1_200);
const LAYOUT_EVERY: Duration = Duration::from_millis(900);
/// A window manager has answered to a change of state by then.
const UNSETTLED: Duration = Duration::from_millis(600);
const UNSETTLED_STEP: Duration = Duration::from_millis(50);
/// At once, but once.
const SOON: Duration = Duration::from_millis(1);
/// Frames after a change until the focus has found its place.
const SETTLE_FRAMES: u8 = 2;
/// The first frame goes to a window that is not mapped yet; when the third begins, the second was
/// presented.
const FRAMES_UNTIL_SHOWN: u8 = 3;
/// Points that a display may be tall before everything is enlarged.
const TALL: f32 = 1080.0;

/// Returns SHA-256 and the freshness code.
#[must_use]
pub fn toolbox() -> Toolbox {
    Toolbox {
        hash: sha256,
        freshness_code: qorgan_signing::freshness_code,
    }
}

fn sha256(parts: &[&[u8]]) -> Sha256 {
    Ring.sha256(parts)
}

/// The pictures as textures.
#[derive(Default)]
struct Textures(BTreeMap<PictureKey, TextureHandle>);

impl std::fmt::Debug for Textures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Textures({})", self.0.len())
    }
}

impl Textures {
    fn update(&mut self, ctx: &Context, store: &Mutex<PictureStore>) {
        let (arrived, dropped) = store.lock().unwrap_or_else(PoisonError::into_inner).take();
        for key in dropped {
            self.0.remove(&key);
        }
        for (key, image) in arrived {
            let texture = ctx.load_texture("picture", image, TextureOptions::LINEAR);
            self.0.insert(key, texture);
        }
    }
}

impl Pictures for Textures {
    fn picture(&self, key: PictureKey) -> Option<Picture> {
        let texture = self.0.get(&key)?;
        let size = texture.size_vec2();
        Some(Picture {
            texture: texture.id(),
            size: vec2(size.x, size.y),
        })
    }
}
