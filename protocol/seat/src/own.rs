//! What was put into a program's own process by others: libraries, a tracer, a loader.

use std::collections::BTreeSet;

/// Something that is wrong with a process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Intrusion {
    /// A library from outside the system's folders, or one whose file is gone.
    Library(String),
    /// A variable or file that has the loader put libraries before the program's own.
    Loader(String),
    /// Another process traces this one.
    Tracer(u32),
}

impl core::fmt::Display for Intrusion {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Library(name) => write!(f, "a library is loaded: {name}"),
            Self::Loader(what) => write!(f, "the loader was told to load more: {what}"),
            Self::Tracer(pid) => write!(f, "process {pid} traces it"),
        }
    }
}

/// What a process says of itself at its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartFacts {
    /// Its environment as it was handed over, `NAME=VALUE` each.
    pub environment: Vec<String>,
    /// The file that the kernel runs, by name.
    pub program: String,
    /// The system's own list of libraries to load first.
    pub system_list: String,
}

/// Returns what the loader was told at the start.
#[must_use]
pub fn loader_words(facts: &StartFacts) -> Vec<Intrusion> {
    let mut found = Vec::new();
    for entry in &facts.environment {
        if let Some((name, value)) = entry.split_once('=')
            && LOADER_VARIABLES.contains(&name)
            && !value.is_empty()
        {
            let files = value.split([' ', ':']).filter(|file| !file.is_empty());
            let files: Vec<&str> = files.map(file_name).collect();
            found.push(Intrusion::Loader(format!("{name} {}", files.join(" "))));
        }
    }
    let listed = facts.system_list.lines();
    let listed = listed.map(|line| line.split('#').next().unwrap_or_default());
    for file in listed.flat_map(str::split_whitespace) {
        found.push(Intrusion::Loader(format!(
            "ld.so.preload {}",
            file_name(file)
        )));
    }
    // `ld.so --preload LIBRARY PROGRAM` makes the loader itself what the kernel runs.
    if facts.program.starts_with("ld-") || facts.program.starts_with("ld.so") {
        found.push(Intrusion::Loader(facts.program.clone()));
    }
    found
}

/// Follows what is mapped into a process to be run.
#[derive(Debug, Clone, Default)]
pub struct LibraryWatch {
    told: BTreeSet<String>,
}

impl LibraryWatch {
    /// Takes `/proc/self/maps`; returns the libraries that are new and not the system's. `program` is
    /// the process's own file.
    pub fn look(&mut self, maps: &str, program: &str) -> Vec<Intrusion> {
        let mut new = Vec::new();
        for path in run_files(maps) {
            if path == program || is_systems(path) || self.told.len() >= TOLD_MAX {
                continue;
            }
            if self.told.insert(path.to_owned()) {
                new.push(Intrusion::Library(file_name(path).to_owned()));
            }
        }
        new
    }
}

/// Returns the files that are mapped to be run.
fn run_files(maps: &str) -> impl Iterator<Item = &str> {
    maps.lines().filter_map(|line| {
        // Address, rights, offset, device, inode, and the path to the end of the line.
        let mut rest = line;
        let mut rights = "";
        for field in 0..5 {
            let (word, after) = rest.trim_start().split_once(' ')?;
            if field == 1 {
                rights = word;
            }
            rest = after;
        }
        let path = rest.trim_start();
        (rights.contains('x') && (path.starts_with('/'))).then_some(path)
    })
}

/// Only root writes there.
fn is_systems(path: &str) -> bool {
    let whole = !path.ends_with(" (deleted)");
    whole && !path.contains("/../") && SYSTEM_FOLDERS.iter().any(|folder| path.starts_with(folder))
}

/// Returns the process that traces the one of this `/proc/…/status`.
#[must_use]
pub fn tracer(status: &str) -> Option<u32> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"));
    line.and_then(|pid| pid.trim().parse().ok())
        .filter(|pid| *pid != 0)
}

/// A file's folder may hold a person's name.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

const LOADER_VARIABLES: [&str; 4] = [
    "LD_PRELOAD",
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "DYLD_INSERT_LIBRARIES",
];
const SYSTEM_FOLDERS: [&str; 6] = [
    "/usr/lib",
    "/lib",
    "/usr/libexec/",
    "/nix/store/",
    "/gnu/store/",
    "/usr/local/lib",
];
/// Libraries that are told; a process that maps more is not told apart any further.
const TOLD_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_of_the_system_and_the_program_itself_are_no_intrusion() {
        let maps = "\
55d0-55d9 r-xp 00002000 08:01 131 /opt/qorgan/qorgan-agent\n\
7f00-7f10 r-xp 00028000 08:01 132 /usr/lib/x86_64-linux-gnu/libc.so.6\n\
7f20-7f21 r--p 00000000 08:01 133 /media/a/locale-archive\n\
7f30-7f31 r-xp 00000000 00:00 0 [vdso]\n\
7f40-7f41 rwxp 00000000 00:00 0 \n";
        assert_eq!(
            LibraryWatch::default().look(maps, "/opt/qorgan/qorgan-agent"),
            []
        );
    }

    #[test]
    fn a_library_from_elsewhere_is_told_once_by_its_name_alone() {
        let mut watch = LibraryWatch::default();
        let maps = "7f00-7f10 r-xp 00028000 08:01 132 /media/anna/my lib/forge.so\n\
                    7f20-7f30 r-xp 00028000 00:01 132 /memfd:code (deleted)\n\
                    7f40-7f50 r-xp 00028000 08:01 132 /usr/lib/libssl.so.3 (deleted)\n";
        let names = ["forge.so", "memfd:code (deleted)", "libssl.so.3 (deleted)"];
        let told = names.map(|name| Intrusion::Library(name.to_owned()));
        assert_eq!(watch.look(maps, "/opt/a"), told);
        assert_eq!(watch.look(maps, "/opt/a"), []);
    }

    #[test]
    fn every_way_to_have_the_loader_load_more_is_told() {
        let with = |entry: &str| StartFacts {
            environment: vec!["HOME=/root".to_owned(), entry.to_owned()],
            program: "qorgan-agent".to_owned(),
            system_list: "# none\n".to_owned(),
        };
        for entry in [
            "LD_PRELOAD=/tmp/a.so:/tmp/b.so",
            "LD_AUDIT=/tmp/a.so",
            "LD_LIBRARY_PATH=/tmp",
        ] {
            assert_eq!(loader_words(&with(entry)).len(), 1, "{entry}");
        }
        assert_eq!(loader_words(&with("LD_PRELOAD=")), []);
        let listed = StartFacts {
            system_list: "/usr/lib/a.so\n".to_owned(),
            ..with("A=b")
        };
        assert_eq!(loader_words(&listed).len(), 1);
        let through_loader = StartFacts {
            program: "ld-linux-x86-64.so.2".to_owned(),
            ..with("A=b")
        };
        assert_eq!(loader_words(&through_loader).len(), 1);
    }

    #[test]
    fn a_tracer_is_told_by_its_number() {
        assert_eq!(tracer("Name:\tx\nTracerPid:\t0\n"), None);
        assert_eq!(tracer("Name:\tx\nTracerPid:\t4711\n"), Some(4_711));
        assert_eq!(tracer(""), None);
    }
}
