//! A place at which a candidate sits: display, buses, sound, camera, kiosk.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::demo::stage::{Stage, receipts_in};
use crate::display::Display;
use crate::kiosk::{Kiosk, KioskSettings};
use crate::machine::Machine;
use crate::media::Media;
use crate::reader::Reader;
use crate::relay::Relay;
use crate::sound::Sound;

/// Everything around one kiosk.
#[derive(Debug)]
pub struct Seat {
    display: Display,
    reader: Reader,
    _sound: Sound,
    settings: KioskSettings,
}

impl Seat {
    /// Sets a place up in `folder` for candidates of `stage`.
    ///
    /// # Errors
    /// Fails with what does not come up.
    pub fn set(stage: &Stage, language: &str, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let media = Media::make()?;
        let display = Display::start(folder, 1366, 768)?;
        let reader = Reader::start(folder, &display)?;
        let mut sound = Sound::start(folder)?;
        sound.play(&media.microphone)?;
        let variables = sound.variables().into_iter();
        let variables = variables.map(|(name, value)| (name.to_owned(), value));
        let settings = KioskSettings {
            folder: folder.join("candidate"),
            ..stage.kiosk(language, &media, variables.collect())?
        };
        Ok(Self {
            display,
            reader,
            _sound: sound,
            settings,
        })
    }

    /// Returns the display that the kiosk covers.
    #[must_use]
    pub const fn display(&self) -> &Display {
        &self.display
    }

    /// Leads the kiosk to the server by another link.
    pub fn enrol_by(&mut self, link: String) {
        self.settings.link = link;
    }

    /// Leads kiosk and agent through the institution's proxy, and by no other way.
    pub fn behind(&mut self, proxy: &Relay) {
        for (name, value) in [("HTTPS_PROXY", proxy.url()), ("NO_PROXY", String::new())] {
            self.settings
                .variables
                .push((name.to_owned(), value.into()));
        }
    }

    /// Returns what kiosk and agent have logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.settings.folder.join("kiosk.log")).unwrap_or_default()
    }

    /// Puts kiosk and agent on another machine.
    pub fn move_to(&mut self, machine: &Machine) {
        let variables = machine.variables().into_iter();
        let variables = variables.map(|(name, value)| (name.to_owned(), value));
        self.settings.variables.extend(variables);
    }

    /// Returns the folder of the kiosk's data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.settings.folder.join("data")
    }

    /// Returns the receipts that agents kept here.
    ///
    /// # Errors
    /// Fails where the folder cannot be read.
    pub fn receipts(&self) -> Result<Vec<PathBuf>> {
        receipts_in(&self.data())
    }

    /// Starts the kiosk.
    ///
    /// # Errors
    /// Fails where it cannot be started.
    pub fn kiosk(&self) -> Result<Kiosk<'_>> {
        Kiosk::start(&self.display, &self.reader, self.settings.clone())
    }
}
