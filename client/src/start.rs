//! The kiosk's command line and its way to the first screen, for the packaged program and for the one
//! with the tests' hooks.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use qorgan_client::{
    app::{App, Start},
    effects::{Bell, Clock, Effects, Lock, Places, StateFile},
    ui::style,
};
use qorgan_client_core::event::{Language, Reading};
use qorgan_lockdown::WindowTarget;
use tracing_subscriber::{
    EnvFilter, filter::LevelFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// The kiosk in which a candidate sits an exam.
#[derive(Debug, Parser)]
#[command(name = "qorgan-client", version)]
struct Arguments {
    /// The link that the testing centre gives out: `qorgan://HOST:PORT/?ca=…`. It is kept, so that later
    /// starts need none.
    #[arg(long, alias = "link", value_name = "LINK")]
    enrol: Option<String>,
    /// The folder of the keys and the response journal.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The language in which the kiosk begins: kk, ru or en.
    #[arg(long, alias = "language", value_name = "LANGUAGE", default_value = "kk", value_parser = language)]
    lang: Language,
    /// How many minutes the institution's clock is ahead of UTC.
    #[arg(
        long,
        value_name = "MINUTES",
        default_value_t = 300,
        allow_negative_numbers = true
    )]
    utc_offset: i32,
    /// Lock nothing; in development builds alone.
    #[cfg(feature = "no-lockdown")]
    #[arg(long)]
    no_lockdown: bool,
}

/// What tests change about the kiosk. The packaged program has none of it, whatever its environment
/// says.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    /// The agent's program, in place of the one beside the kiosk.
    pub(crate) agent: Option<PathBuf>,
    /// Words for the agent's command line.
    pub(crate) agent_args: Vec<String>,
    /// The file that tells where the kiosk is.
    pub(crate) state_file: Option<PathBuf>,
}

/// Runs the kiosk until its window is closed.
pub(crate) fn run(hooks: Hooks) -> anyhow::Result<()> {
    // Before anything is read that the user's other programs should not see.
    qorgan_seat::platform::guard_process();
    let clock = Clock::start();
    let filter = EnvFilter::try_from_env("QORGAN_LOG")
        .unwrap_or_else(|_unset| EnvFilter::new("info,zbus=warn"));
    // What libraries tell at TRACE may be items and tokens: no variable turns it on.
    tracing_subscriber::registry()
        .with(LevelFilter::DEBUG)
        .with(filter)
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr))
        .init();
    let arguments = Arguments::parse();
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_set| anyhow::anyhow!("another crypto provider is installed"))?;
    let places = places(&arguments, &hooks)?;
    let state_file = hooks.state_file.map(StateFile::at);
    let viewport = egui::ViewportBuilder::default()
        .with_title("Qorgan")
        .with_app_id("qorgan-client")
        .with_inner_size([1366.0, 768.0])
        .with_fullscreen(true)
        .with_decorations(false);
    let options = eframe::NativeOptions {
        viewport,
        ..eframe::NativeOptions::default()
    };
    let result = eframe::run_native(
        "Qorgan",
        options,
        Box::new(move |creation| {
            let app = start(creation, &arguments, &places, (clock, state_file))?;
            Ok(Box::new(app))
        }),
    );
    result.map_err(|error| anyhow::anyhow!("the window cannot be shown: {error}"))
}

fn start(
    creation: &eframe::CreationContext<'_>,
    arguments: &Arguments,
    places: &Places,
    (clock, state_file): (Clock, Option<StateFile>),
) -> anyhow::Result<App> {
    let ctx = creation.egui_ctx.clone();
    style::apply(&ctx, Reading::default(), None);
    let (bell, events) = Bell::new();
    let lock = Lock::new(&places.data, target(creation, arguments));
    let effects = Effects::start(places, clock, bell.clone()).context("the kiosk cannot start")?;
    let remembered =
        std::fs::read_to_string(places.data.join("enrolment.link")).unwrap_or_default();
    let start = Start {
        language: arguments.lang,
        link: arguments.enrol.clone().unwrap_or(remembered),
        utc_offset_min: arguments.utc_offset,
        clock,
        state_file,
    };
    App::new(&ctx, effects, (bell, events), lock, start).context("the kiosk cannot start")
}

/// Returns the window to lock; a display that cannot be locked is told to the server at the gate.
fn target(creation: &eframe::CreationContext<'_>, arguments: &Arguments) -> Option<WindowTarget> {
    #[cfg(feature = "no-lockdown")]
    if arguments.no_lockdown {
        tracing::warn!("Nothing is locked: --no-lockdown");
        return None;
    }
    #[cfg(not(feature = "no-lockdown"))]
    let _ = arguments;
    match WindowTarget::from_handles(creation) {
        Ok(target) => Some(target),
        Err(error) => {
            tracing::warn!(%error, "This display cannot be locked");
            None
        }
    }
}

fn places(arguments: &Arguments, hooks: &Hooks) -> anyhow::Result<Places> {
    let data = match &arguments.data {
        Some(data) => data.clone(),
        None => home_data().context("no data folder is known; name one with --data DIR")?,
    };
    std::fs::create_dir_all(&data).context("the data folder cannot be made")?;
    let beside = std::env::current_exe().context("the program does not know where it is")?;
    let packaged =
        || beside.with_file_name(format!("qorgan-agent{}", std::env::consts::EXE_SUFFIX));
    Ok(Places {
        data,
        agent: hooks.agent.clone().unwrap_or_else(packaged),
        agent_args: hooks.agent_args.clone(),
    })
}

fn home_data() -> Option<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("XDG_DATA_HOME")
        .or_else(|| set("LOCALAPPDATA"))
        .or_else(|| set("HOME").map(|home| home.join(".local/share")))
        .map(|base| base.join("qorgan-client"))
}

fn language(text: &str) -> Result<Language, String> {
    Language::from_code(text).ok_or_else(|| "expected kk, ru or en".to_owned())
}
