//! The kiosk as it is packaged.

mod start;

fn main() -> anyhow::Result<()> {
    start::run(start::Hooks::default())
}
