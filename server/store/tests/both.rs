//! What the layer promises, held to SQLite and to PostgreSQL alike.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

use qorgan_protocol::ids::{AttemptId, InstitutionId};
use qorgan_protocol::time::WallTime;
use qorgan_store::{Database, SqlError, WriteTx, copy, query, query_as, query_scalar, script};
use tempfile::TempDir;

/// Both databases, empty, each with the table `t`.
struct Both {
    _folder: TempDir,
    databases: [Database; 2],
}

impl Both {
    async fn open(name: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let sqlite = Database::open_file(&folder.path().join("one.db"))
            .await
            .expect("SQLite opens");
        let url = qorgan_tests::postgres::database(name).expect("a PostgreSQL");
        let postgres = Database::open_url(&url).await.expect("PostgreSQL opens");
        let databases = [sqlite, postgres];
        for database in &databases {
            let mut tx = database.begin().await.expect("a writer");
            script("CREATE TABLE t (a BIGINT PRIMARY KEY, b TEXT)")
                .execute(&mut *tx)
                .await
                .expect("a table");
            tx.commit().await.expect("kept");
        }
        Self {
            _folder: folder,
            databases,
        }
    }
}

async fn put(tx: &mut WriteTx, a: i64, b: Option<&str>) -> Result<u64, SqlError> {
    let put = query("INSERT INTO t (a, b) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(a)
        .bind(b)
        .execute(&mut **tx)
        .await?;
    Ok(put.rows_affected())
}

#[tokio::test]
async fn what_is_committed_is_read_and_what_is_dropped_is_not() {
    let both = Both::open("committed").await;
    for database in &both.databases {
        let mut tx = database.begin().await.expect("a writer");
        assert_eq!(put(&mut tx, 1, Some("Әсет")).await.expect("put"), 1);
        assert_eq!(put(&mut tx, 1, None).await.expect("put"), 0, "it is there");
        tx.commit().await.expect("kept");
        let mut tx = database.begin().await.expect("a writer");
        put(&mut tx, 2, None).await.expect("put");
        drop(tx);

        let rows: Vec<(i64, Option<String>)> = query_as("SELECT a, b FROM t ORDER BY a")
            .fetch_all(database.read())
            .await
            .expect("read");

        assert_eq!(rows, [(1, Some("Әсет".to_owned()))]);
    }
}

#[tokio::test]
async fn writers_wait_for_one_another() {
    let both = Both::open("writers").await;
    for database in &both.databases {
        let one = database.begin().await.expect("a writer");
        let other = database.clone();
        let waiting = tokio::spawn(async move {
            let mut tx = other.begin().await.expect("a writer");
            put(&mut tx, 7, None).await.expect("put");
            tx.commit().await.expect("kept");
        });
        tokio::task::yield_now().await;
        let none: i64 = query_scalar("SELECT COUNT(*) FROM t")
            .fetch_one(database.read())
            .await
            .expect("readers wait for nobody");
        assert_eq!(none, 0);
        one.rollback().await.expect("given up");
        waiting.await.expect("no panic");
    }
}

#[tokio::test]
async fn readers_cannot_write() {
    let both = Both::open("readers").await;
    for database in &both.databases {
        query("INSERT INTO t (a) VALUES ($1)")
            .bind(1_i64)
            .execute(database.read())
            .await
            .expect_err("it only reads");
    }
}

#[tokio::test]
async fn what_does_not_read_back_names_its_column() {
    let both = Both::open("columns").await;
    for database in &both.databases {
        let row = query("SELECT 'x' AS word, CAST($1 AS BIGINT) AS number")
            .bind(None::<i64>)
            .fetch_one(database.read())
            .await
            .expect("a row");

        let word = row.get::<i64>("word").expect_err("a word is no number");
        assert_eq!(word.to_string(), "column word does not read back");
        row.get::<i64>("number").expect_err("nothing is no number");
        assert_eq!(row.get::<Option<i64>>("number").expect("nothing"), None);
        row.get::<String>("missing").expect_err("no such column");
        assert_eq!(row.get::<String>(0).expect("by its place"), "x");
    }
}

#[tokio::test]
async fn a_text_with_a_nul_is_refused_by_both_and_spoils_no_transaction() {
    let both = Both::open("nul").await;
    for database in &both.databases {
        let mut tx = database.begin().await.expect("a writer");
        let refused = put(&mut tx, 1, Some("a\0b")).await.expect_err("refused");
        assert!(matches!(refused, SqlError::Nul), "{refused}");
        put(&mut tx, 2, Some("ab")).await.expect("put");
        tx.commit().await.expect("kept");
    }
}

#[tokio::test]
async fn a_transaction_that_failed_does_not_seem_kept() {
    let both = Both::open("failed").await;
    let [_sqlite, postgres] = &both.databases;
    let mut tx = postgres.begin().await.expect("a writer");
    put(&mut tx, 1, None).await.expect("put");
    let failed = query("SELECT nonsense FROM t").execute(&mut *tx).await;
    failed.expect_err("no such column");
    tx.commit()
        .await
        .expect_err("PostgreSQL took everything back");
}

#[tokio::test]
async fn one_server_holds_a_database_until_its_connection_ends() {
    let both = Both::open("held").await;
    let [sqlite, postgres] = &both.databases;
    assert!(sqlite.hold().await.expect("its folder is held").is_none());
    let held = postgres.hold().await.expect("free");
    postgres.hold().await.expect_err("another server runs");
    drop(held);
    let _again = postgres.hold().await.expect("free again");
}

#[tokio::test]
async fn texts_are_ordered_by_their_bytes() {
    let both = Both::open("ordered").await;
    for database in &both.databases {
        let mut tx = database.begin().await.expect("a writer");
        for (at, word) in ["б", "a", "Z", "ә", "A", "_"].into_iter().enumerate() {
            let at = i64::try_from(at).expect("few");
            put(&mut tx, at, Some(word)).await.expect("put");
        }
        tx.commit().await.expect("kept");

        let words: Vec<String> = query_scalar("SELECT b FROM t ORDER BY b")
            .fetch_all(database.read())
            .await
            .expect("read");

        assert_eq!(words, ["A", "Z", "_", "a", "б", "ә"]);
    }
}

/// What an institution has, put into `database`.
async fn institution(database: &Database) -> Result<(), SqlError> {
    let at = WallTime::from_unix_ms(1_790_000_000_000);
    let id = InstitutionId::new(at, [1; 10]);
    let mut tx = database.begin().await?;
    query("INSERT INTO institutions (id, created_ms) VALUES ($1, $2)")
        .bind(id)
        .bind(at)
        .execute(&mut *tx)
        .await?;
    for number in 1..=1_203_i64 {
        query(
            "INSERT INTO audit_log (id, institution_id, at_ms, actor, action, subject, detail, \
             prev, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(number)
        .bind(id)
        .bind(at)
        .bind("server")
        .bind("tested")
        .bind(AttemptId::new(at, [2; 10]))
        .bind("")
        .bind((number > 1).then_some([7_u8; 32]))
        .bind([8_u8; 32])
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await
}

#[tokio::test]
async fn an_institution_moves_both_ways_and_nothing_moves_onto_another() {
    let both = Both::open("moves").await;
    let [sqlite, postgres] = &both.databases;
    institution(sqlite).await.expect("an institution");

    let there = copy(sqlite, postgres).await.expect("it moves");
    let audit = there.iter().find(|moved| moved.table == "audit_log");
    assert_eq!(audit.map(|moved| moved.rows), Some(1_203));
    copy(sqlite, postgres)
        .await
        .expect_err("the target is not empty");

    let folder = TempDir::new().expect("a temporary folder");
    let other = Database::open_file(&folder.path().join("two.db"))
        .await
        .expect("SQLite opens");
    let back = copy(postgres, &other).await.expect("it moves back");
    assert_eq!(back, there, "the same counts and hashes");
    let changed = query("UPDATE audit_log SET actor = $1")
        .bind("nobody")
        .execute(&mut *other.begin().await.expect("a writer"))
        .await;
    changed.expect_err("the triggers are back");
}

/// What a schema is made of, as sorted lines.
async fn lines(database: &Database, statements: &[&'static str]) -> Vec<String> {
    let mut lines = Vec::new();
    for statement in statements {
        let found: Vec<String> = query_scalar(*statement)
            .fetch_all(database.read())
            .await
            .expect("the catalogue reads");
        lines.extend(found);
    }
    lines.sort();
    lines
}

#[tokio::test]
async fn the_two_schemas_are_one() {
    let both = Both::open("schemas").await;
    let [sqlite, postgres] = &both.databases;

    let of_sqlite = lines(
        sqlite,
        &[
            "SELECT 'column ' || m.name || '.' || c.name || ' ' || lower(c.type) || \
             CASE WHEN c.\"notnull\" = 1 OR c.pk > 0 THEN ' required' ELSE '' END || \
             CASE WHEN c.pk > 0 THEN ' key ' || c.pk ELSE '' END \
             FROM sqlite_master m, pragma_table_info(m.name) c \
             WHERE m.type = 'table' AND m.name NOT LIKE '%sqlx%' AND m.name <> 't'",
            "SELECT type || ' ' || name || ' on ' || tbl_name FROM sqlite_master \
             WHERE type IN ('index', 'trigger') AND sql IS NOT NULL",
            "SELECT 'reference ' || m.name || '.' || f.\"from\" || ' to ' || f.\"table\" \
             FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'",
        ],
    )
    .await;
    let of_postgres = lines(
        postgres,
        &[
            "SELECT 'column ' || c.relname || '.' || a.attname || ' ' || \
             CASE format_type(a.atttypid, NULL) WHEN 'bigint' THEN 'integer' WHEN 'bytea' THEN 'blob' \
             WHEN 'double precision' THEN 'real' ELSE format_type(a.atttypid, NULL) END || \
             CASE WHEN a.attnotnull THEN ' required' ELSE '' END || \
             COALESCE(' key ' || array_position(k.conkey, a.attnum), '') \
             FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 \
             AND NOT a.attisdropped LEFT JOIN pg_constraint k ON k.conrelid = c.oid \
             AND k.contype = 'p' AND a.attnum = ANY (k.conkey) WHERE c.relkind = 'r' \
             AND c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE '%sqlx%' \
             AND c.relname <> 't'",
            "SELECT 'index ' || indexname || ' on ' || tablename FROM pg_indexes \
             WHERE schemaname = 'public' AND NOT EXISTS (SELECT 1 FROM pg_constraint k \
             WHERE k.conname = indexname)",
            "SELECT 'trigger ' || tgname || ' on ' || CAST(tgrelid AS regclass) FROM pg_trigger \
             WHERE NOT tgisinternal AND tgname <> 'audit_log_kept_whole'",
            "SELECT 'reference ' || CAST(k.conrelid AS regclass) || '.' || a.attname || ' to ' || \
             CAST(k.confrelid AS regclass) FROM pg_constraint k JOIN pg_attribute a \
             ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) WHERE k.contype = 'f'",
        ],
    )
    .await;

    let missing = |from: &[String], of: &[String]| -> Vec<String> {
        let lacks = |line: &&String| !from.contains(line);
        of.iter().filter(lacks).cloned().collect()
    };
    assert_eq!(
        (
            missing(&of_postgres, &of_sqlite),
            missing(&of_sqlite, &of_postgres)
        ),
        (Vec::new(), Vec::new()),
        "(what PostgreSQL lacks, what SQLite lacks)"
    );
}
