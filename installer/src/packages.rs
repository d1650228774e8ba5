//! What a machine needs, by purpose. This is the one place to add to.
//!
//! Invariant: every name is one that Debian 12 has in `main`; nothing here is a
//! download of our own.

/// What somebody wants to do with the source tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Compile the three programs.
    Build,
    /// Run them side by side with sample media where there are no devices.
    Demo,
    /// Run every check and test.
    Suite,
    /// Measure, also against other programs.
    Bench,
}

impl Purpose {
    /// Every purpose, the smallest first; each one includes those before it.
    pub(crate) const ALL: [Self; 4] = [Self::Build, Self::Demo, Self::Suite, Self::Bench];

    /// Returns the word that selects the purpose on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Demo => "demo",
            Self::Suite => "suite",
            Self::Bench => "bench",
        }
    }

    /// Returns the purpose that `word` selects.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == word)
    }

    /// Returns whether what `other` needs is needed for this purpose as well.
    pub(crate) fn includes(self, other: Self) -> bool {
        other <= self
    }
}

/// A Debian package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Package {
    /// Its name in Debian 12.
    pub(crate) name: &'static str,
    /// A command that makes the package unnecessary when it is on the path
    /// already, from whatever source.
    pub(crate) unless: Option<&'static str>,
    /// The smallest purpose that needs it.
    pub(crate) purpose: Purpose,
}

const fn package(purpose: Purpose, name: &'static str) -> Package {
    Package {
        name,
        unless: None,
        purpose,
    }
}

const fn command(purpose: Purpose, name: &'static str, unless: &'static str) -> Package {
    Package {
        name,
        unless: Some(unless),
        purpose,
    }
}

/// Every Debian package that some purpose needs.
pub(crate) const PACKAGES: &[Package] = &[
    // Build: C and C++ for openh264 (nasm: its assembly), Opus, SQLite and ring.
    package(Purpose::Build, "build-essential"),
    package(Purpose::Build, "clang"),
    package(Purpose::Build, "libclang-dev"),
    package(Purpose::Build, "cmake"),
    package(Purpose::Build, "nasm"),
    package(Purpose::Build, "pkg-config"),
    // Build: sound, displays, windows.
    package(Purpose::Build, "libasound2-dev"),
    package(Purpose::Build, "libxcb1-dev"),
    package(Purpose::Build, "libxkbcommon-dev"),
    package(Purpose::Build, "libxkbcommon-x11-0"),
    // Build and run: the typefaces of kiosk, console and acts.
    package(Purpose::Build, "fontconfig"),
    package(Purpose::Build, "fonts-inter"),
    package(Purpose::Build, "fonts-noto-core"),
    // Demo: a display, a window manager and a sound server where none are.
    package(Purpose::Demo, "xvfb"),
    package(Purpose::Demo, "xserver-xephyr"),
    package(Purpose::Demo, "openbox"),
    package(Purpose::Demo, "wmctrl"),
    package(Purpose::Demo, "xdotool"),
    package(Purpose::Demo, "poppler-utils"),
    package(Purpose::Demo, "procps"),
    package(Purpose::Demo, "sqlite3"),
    package(Purpose::Demo, "util-linux"),
    package(Purpose::Demo, "x11-utils"),
    package(Purpose::Demo, "pulseaudio"),
    package(Purpose::Demo, "pulseaudio-utils"),
    package(Purpose::Demo, "libasound2-plugins"),
    package(Purpose::Demo, "libgl1-mesa-dri"),
    package(Purpose::Demo, "libegl1"),
    package(Purpose::Demo, "dbus-x11"),
    package(Purpose::Demo, "at-spi2-core"),
    package(Purpose::Demo, "gir1.2-atspi-2.0"),
    package(Purpose::Demo, "python3-gi"),
    package(Purpose::Demo, "espeak-ng"),
    package(Purpose::Demo, "ffmpeg"),
    package(Purpose::Demo, "imagemagick"),
    command(Purpose::Demo, "chromium", "chromium"),
    command(Purpose::Demo, "nodejs", "node"),
    command(Purpose::Demo, "npm", "npm"),
    package(Purpose::Demo, "python3-venv"),
    // Suite: outside tools that judge what we make.
    package(Purpose::Suite, "mesa-vulkan-drivers"),
    package(Purpose::Suite, "postgresql"),
    package(Purpose::Suite, "qpdf"),
    package(Purpose::Suite, "sox"),
    // Suite: monitors that are plugged in and out.
    package(Purpose::Suite, "xserver-xorg-core"),
    package(Purpose::Suite, "xserver-xorg-video-dummy"),
    package(Purpose::Suite, "x11-xserver-utils"),
    package(Purpose::Suite, "xclip"),
    // Bench: the servers that ours is measured beside.
    package(Purpose::Bench, "nginx"),
    package(Purpose::Bench, "libnginx-mod-rtmp"),
];

/// The compile targets that the suite checks besides the host's own.
pub(crate) const RUST_TARGETS: &[&str] = &[
    "wasm32-unknown-unknown",
    "x86_64-pc-windows-gnu",
    "aarch64-apple-darwin",
];

/// The version of cargo-deny that reads `.deny.toml`.
pub(crate) const CARGO_DENY_VERSION: &str = "0.20.2";

/// SHA-256 of `dist/htmx.min.js` in the pinned version of htmx.
pub(crate) const HTMX_SHA256: &str =
    "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717";

/// The Python package that carries the portrait that stands before the demo's
/// camera where there is none: NASA's of Eileen Collins, in the public domain.
pub(crate) const PORTRAIT_PACKAGE: &str = "scikit-image==0.25.2";

/// The portrait's path in that package.
pub(crate) const PORTRAIT_FILE: &str = "skimage/data/astronaut.png";

/// SHA-256 of the portrait.
pub(crate) const PORTRAIT_SHA256: &str =
    "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_package_is_listed_twice() {
        let mut names: Vec<_> = PACKAGES.iter().map(|package| package.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();

        assert_eq!(names.len(), all);
    }

    #[test]
    fn a_larger_purpose_includes_every_smaller_one() {
        assert!(Purpose::Suite.includes(Purpose::Build));
        assert!(Purpose::Suite.includes(Purpose::Suite));
        assert!(!Purpose::Demo.includes(Purpose::Suite));
    }

    #[test]
    fn every_purpose_is_found_by_its_own_word() {
        for purpose in Purpose::ALL {
            assert_eq!(Purpose::from_word(purpose.name()), Some(purpose));
        }
        assert_eq!(Purpose::from_word("sweep"), None);
    }
}
