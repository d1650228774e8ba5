//! The kiosk with the hooks of tests and demo, which the packaged program lacks: another agent
//! with words of its own, and a file that tells where the kiosk is. It is never packaged.

#[path = "../start.rs"]
mod start;

use std::env;

fn main() -> anyhow::Result<()> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let words = env::var("QORGAN_AGENT_ARGS").unwrap_or_default();
    start::run(start::Hooks {
        agent: set("QORGAN_AGENT").map(Into::into),
        agent_args: words.split_whitespace().map(str::to_owned).collect(),
        state_file: set("QORGAN_CLIENT_STATE").map(Into::into),
    })
}
