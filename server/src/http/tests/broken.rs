//! A database that refuses one thing.

use super::harness::World;

/// Has the database refuse what `when` names (`BEFORE INSERT ON t`, and `WHEN` a condition), until
/// [`mended`].
pub(super) async fn broken(world: &World, when: &str) {
    let (event, condition) = when.split_once(" WHEN ").unwrap_or((when, "1 = 1"));
    let script = if world.state.store.read().is_postgres() {
        format!(
            "CREATE FUNCTION refuse_broken() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'broken'; END $$; \
             CREATE TRIGGER broken {event} FOR EACH ROW WHEN ({condition}) \
             EXECUTE FUNCTION refuse_broken();"
        )
    } else {
        format!(
            "CREATE TRIGGER broken {event} WHEN {condition} \
             BEGIN SELECT RAISE(ABORT, 'broken'); END;"
        )
    };
    run(world, script).await;
}

/// Lets the database take it again.
pub(super) async fn mended(world: &World) {
    let script = if world.state.store.read().is_postgres() {
        "DROP FUNCTION refuse_broken() CASCADE"
    } else {
        "DROP TRIGGER broken"
    };
    run(world, script.to_owned()).await;
}

async fn run(world: &World, script: String) {
    let mut tx = world.state.store.begin().await.expect("a writer");
    qorgan_store::script(script)
        .execute(&mut *tx)
        .await
        .expect("changed");
    tx.commit().await.expect("changed");
}
