//! What people are searched by: one folding for what is stored and what is typed.
//!
//! SQLite folds Latin letters alone. Names are stored folded; of groups and exams, which are few, the
//! ones that hold what was typed are chosen here and handed to the statement as a list.

use qorgan_server_core::login::fold_search;

use crate::store::{Store, StoreError, list};

/// What somebody typed into a search for people, as statements take it.
#[derive(Debug, Default)]
pub struct Search {
    folded: String,
}

impl Search {
    /// Reads what was typed; blanks alone find everybody.
    pub fn read(typed: &str) -> Self {
        Self {
            folded: fold_search(typed),
        }
    }

    /// Returns what `people.folded` must hold; empty for everybody.
    pub fn folded(&self) -> &str {
        &self.folded
    }

    /// Returns the groups whose names hold it, as a JSON list.
    ///
    /// # Errors
    /// The database failed.
    pub async fn groups(&self, store: &Store) -> Result<String, StoreError> {
        self.holding(store, GROUPS_SQL).await
    }

    /// Returns the titles of exams that hold it, as a JSON list.
    ///
    /// # Errors
    /// The database failed.
    pub async fn titles(&self, store: &Store) -> Result<String, StoreError> {
        self.holding(store, TITLES_SQL).await
    }

    async fn holding(&self, store: &Store, sql: &'static str) -> Result<String, StoreError> {
        let mut holding: Vec<String> = Vec::new();
        if !self.folded.is_empty() {
            holding = crate::sql::query_scalar(sql)
                .fetch_all(store.read())
                .await?;
            holding.retain(|text| fold_search(text).contains(&self.folded));
        }
        list("list of what a search finds", &holding)
    }
}

// More groups or titles than an institution has: those left out are found by name alone.
const GROUPS_SQL: &str = "SELECT DISTINCT group_name FROM person_details \
    WHERE group_name <> '' LIMIT 10000";
const TITLES_SQL: &str = "SELECT DISTINCT title FROM exams LIMIT 10000";
