//! The schema's steps: one numbered list for both databases.
//!
//! # Invariants
//! * A step that has run is never changed: sqlx compares its hash.
//! * PostgreSQL begins with [`BASELINE`], which makes in one step what SQLite got by steps; each
//!   later step has a text for either.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

/// One step of the schema.
#[derive(Debug)]
struct Step {
    number: i64,
    name: &'static str,
    sqlite: &'static str,
    /// Missing before [`BASELINE`].
    postgres: Option<&'static str>,
}

/// Returns SQLite's steps.
pub(crate) fn sqlite() -> Migrator {
    migrator(|step| Some(step.sqlite))
}

/// Returns PostgreSQL's steps.
pub(crate) fn postgres() -> Migrator {
    migrator(|step| step.postgres)
}

fn migrator(text: fn(&Step) -> Option<&'static str>) -> Migrator {
    let steps = STEPS.iter().filter_map(|step| {
        Some(Migration::new(
            step.number,
            Cow::Borrowed(step.name),
            MigrationType::Simple,
            AssertSqlSafe(Cow::Borrowed(text(step)?)).into_sql_str(),
            false,
        ))
    });
    Migrator::with_migrations(steps.collect())
}

/// The step with which PostgreSQL begins.
#[cfg(test)]
const BASELINE: i64 = 91;

const STEPS: &[Step] = &[
    Step {
        number: 1,
        name: "core",
        sqlite: include_str!("../../migrations/sqlite/0001_core.sql"),
        postgres: None,
    },
    Step {
        number: 10,
        name: "recordings",
        sqlite: include_str!("../../migrations/sqlite/0010_recordings.sql"),
        postgres: None,
    },
    Step {
        number: 20,
        name: "console",
        sqlite: include_str!("../../migrations/sqlite/0020_console.sql"),
        postgres: None,
    },
    Step {
        number: 27,
        name: "views",
        sqlite: include_str!("../../migrations/sqlite/0027_views.sql"),
        postgres: None,
    },
    Step {
        number: 30,
        name: "issued",
        sqlite: include_str!("../../migrations/sqlite/0030_issued.sql"),
        postgres: None,
    },
    Step {
        number: 40,
        name: "watch",
        sqlite: include_str!("../../migrations/sqlite/0040_watch.sql"),
        postgres: None,
    },
    Step {
        number: 41,
        name: "reasons",
        sqlite: include_str!("../../migrations/sqlite/0041_reasons.sql"),
        postgres: None,
    },
    Step {
        number: 42,
        name: "evidence",
        sqlite: include_str!("../../migrations/sqlite/0042_evidence.sql"),
        postgres: None,
    },
    Step {
        number: 50,
        name: "credit",
        sqlite: include_str!("../../migrations/sqlite/0050_credit.sql"),
        postgres: None,
    },
    Step {
        number: 55,
        name: "responses",
        sqlite: include_str!("../../migrations/sqlite/0055_responses.sql"),
        postgres: None,
    },
    Step {
        number: 60,
        name: "sign in",
        sqlite: include_str!("../../migrations/sqlite/0060_sign_in.sql"),
        postgres: None,
    },
    Step {
        number: 65,
        name: "events read",
        sqlite: include_str!("../../migrations/sqlite/0065_events_read.sql"),
        postgres: None,
    },
    Step {
        number: 70,
        name: "audit chain",
        sqlite: include_str!("../../migrations/sqlite/0070_audit_chain.sql"),
        postgres: None,
    },
    Step {
        number: 71,
        name: "sitting proctors",
        sqlite: include_str!("../../migrations/sqlite/0071_sitting_proctors.sql"),
        postgres: None,
    },
    Step {
        number: 72,
        name: "retention",
        sqlite: include_str!("../../migrations/sqlite/0072_retention.sql"),
        postgres: None,
    },
    Step {
        number: 73,
        name: "folded names",
        sqlite: include_str!("../../migrations/sqlite/0073_folded_names.sql"),
        postgres: None,
    },
    Step {
        number: 75,
        name: "machine",
        sqlite: include_str!("../../migrations/sqlite/0075_machine.sql"),
        postgres: None,
    },
    Step {
        number: 80,
        name: "people",
        sqlite: include_str!("../../migrations/sqlite/0080_people.sql"),
        postgres: None,
    },
    Step {
        number: 81,
        name: "admission versions",
        sqlite: include_str!("../../migrations/sqlite/0081_admission_versions.sql"),
        postgres: None,
    },
    Step {
        number: 82,
        name: "reviews reopened",
        sqlite: include_str!("../../migrations/sqlite/0082_reviews_reopened.sql"),
        postgres: None,
    },
    Step {
        number: 90,
        name: "folded again",
        sqlite: include_str!("../../migrations/sqlite/0090_folded_again.sql"),
        postgres: None,
    },
    Step {
        number: 91,
        name: "certificates in order",
        sqlite: include_str!("../../migrations/sqlite/0091_certificates_in_order.sql"),
        postgres: Some(include_str!("../../migrations/postgres/0091_baseline.sql")),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_postgres_has_each_step_from_its_baseline() {
        let mut last = 0;
        for step in STEPS {
            assert!(step.number > last, "{} comes too late", step.number);
            last = step.number;
            assert_eq!(
                step.postgres.is_some(),
                step.number >= BASELINE,
                "{}: {}",
                step.number,
                step.name
            );
        }
    }

    #[test]
    fn every_file_of_the_folder_is_a_step() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
        let files = std::fs::read_dir(folder).expect("the folder");

        assert_eq!(files.count(), STEPS.len());
    }
}
