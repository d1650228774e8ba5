//! What the candidate's machine tells reaches people, and the server judges it; who speaks for
//! an attempt is seen.

use qorgan_protocol::attempt::{CheckName, GatePolicy, MachinePolicy, MachineRule};
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::incident::IncidentKind;
use qorgan_protocol::time::Now;
use serde_json::{Value, json};

use super::harness::{Client, Device, World, checked, target};
use crate::registry::IdentityDecision;

async fn at_the_check(world: &World, policy: GatePolicy) -> (AttemptId, Client) {
    let attempt = world.candidate("a", policy).await;
    let client = world.sign_in(&Device::new(), "a").await;
    client.check_in(attempt).await;
    let consent = json!({ "version": "2026-4", "language": "kk", "agreed": true });
    assert_eq!(client.post(attempt, "consent", &consent).await.0, 200);
    (attempt, client)
}

async fn graded(world: &World, kind: IncidentKind) -> Vec<(f64, String)> {
    let sql = "SELECT severity, detail FROM incidents WHERE kind = $1 ORDER BY began_ms, id";
    qorgan_store::query_as(sql)
        .bind(kind.word())
        .fetch_all(world.state.store.read())
        .await
        .expect("read")
}

#[tokio::test]
async fn an_empty_or_partial_check_fulfils_nothing_and_says_what_is_missing() {
    let world = World::start().await;
    let (attempt, client) = at_the_check(&world, GatePolicy::remote()).await;
    let mut partial = checked(&[]);
    partial["lines"].as_array_mut().expect("lines").pop();
    for (body, named) in [
        (json!({ "lines": [] }), "server: missing"),
        (partial, "proxy: missing"),
        (checked(&[("camera", "failed", "")]), "camera: failed"),
    ] {
        let (status, problem) = client.post(attempt, "system-check", &body).await;
        assert_eq!((status, &problem["code"]), (409, &json!("check_failed")));
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(detail.contains(named), "{detail}");
        let (_status, view) = client.get(attempt, "view").await;
        assert_eq!(view["tasks"]["system_check"], json!(false));
    }
    let (status, _) = client.post(attempt, "system-check", &checked(&[])).await;
    assert_eq!(status, 204);
    let (_status, view) = client.get(attempt, "view").await;
    assert_eq!(view["tasks"]["system_check"], json!(true));
}

#[tokio::test]
async fn a_check_out_of_all_bounds_is_refused_and_stores_nothing() {
    let world = World::start().await;
    let (attempt, client) = at_the_check(&world, GatePolicy::remote()).await;
    let line = |check: &str| json!({ "check": check, "result": "ok", "detail": "" });
    let many: Vec<Value> = (0..65).map(|_| line("server")).collect();
    for (lines, wanted) in [
        (many, 413),
        (vec![line(&"a".repeat(41))], 400),
        (vec![line("<b>")], 400),
    ] {
        let body = json!({ "lines": lines });
        assert_eq!(client.post(attempt, "system-check", &body).await.0, wanted);
    }
    let stored: i64 = qorgan_store::query_scalar("SELECT COUNT(*) FROM system_checks")
        .fetch_one(world.state.store.read())
        .await
        .expect("read");
    assert_eq!(stored, 0);
}

#[tokio::test]
async fn a_machine_that_the_sitting_refuses_does_not_pass_and_everybody_is_told() {
    let world = World::start().await;
    let (attempt, client) = at_the_check(&world, GatePolicy::remote()).await;
    let told = checked(&[("remote_session", "warning", "SSH")]);
    let (status, problem) = client.post(attempt, "system-check", &told).await;
    assert_eq!((status, &problem["code"]), (409, &json!("check_failed")));
    assert_eq!(problem["detail"], json!("remote_session: refused"));
    let refused = MachineRule::Refuse.severity().value();
    let found = graded(&world, IncidentKind::RemoteSession).await;
    assert_eq!(found, [(refused, "remote_session: SSH".to_owned())]);
    client.post(attempt, "system-check", &told).await;
    let found = graded(&world, IncidentKind::RemoteSession).await;
    assert_eq!(found.len(), 1, "a fact that is told again is one incident");
}

#[tokio::test]
async fn a_virtual_machine_waits_for_a_proctor_who_decides_with_a_reason() {
    let world = World::start().await;
    let proctor = world.person("proctor").await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let client = world.sign_in(&device, "a").await;
    client.check_in(attempt).await;
    client
        .tasks_with(attempt, &checked(&[("virtual_machine", "warning", "QEMU")]))
        .await;
    world.agent(attempt, &device).await;
    let (status, problem) = client.post(attempt, "start", &json!({})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("gate_closed")));
    let (_status, view) = client.get(attempt, "view").await;
    assert_eq!(
        (&view["gate_open"], &view["waits_for_proctor"]),
        (&json!(false), &json!(true))
    );
    // What was told stays told: a check without it opens nothing.
    client.post(attempt, "system-check", &checked(&[])).await;
    assert_eq!(client.post(attempt, "start", &json!({})).await.0, 409);

    let registry = &world.state.registry;
    let accepted = registry
        .accept_machine(attempt, proctor, "known laptop")
        .await;
    accepted.expect("it waits");
    world.agent(attempt, &device).await;
    let (status, view) = client.post(attempt, "start", &json!({})).await;
    assert_eq!(status, 200, "{view}");
    let again = registry.accept_machine(attempt, proctor, "twice").await;
    again.expect_err("nothing waits");
    let logged: String = qorgan_store::query_scalar(
        "SELECT detail FROM audit_log WHERE action = 'machine_accepted'",
    )
    .fetch_one(world.state.store.read())
    .await
    .expect("logged");
    assert_eq!(logged, "virtual_machine: known laptop");
}

#[tokio::test]
async fn what_a_sitting_only_notes_starts_and_stands_in_the_record() {
    let world = World::start().await;
    let policy = GatePolicy {
        machine: MachinePolicy {
            virtual_machine: MachineRule::Note,
            ..MachinePolicy::DEFAULT
        },
        ..GatePolicy::remote()
    };
    let attempt = world.candidate("a", policy).await;
    let device = Device::new();
    let client = world.sign_in(&device, "a").await;
    client.check_in(attempt).await;
    let told = [
        ("virtual_machine", "warning", "QEMU"),
        ("proxy", "warning", "proxy.kz:3128"),
    ];
    client.tasks_with(attempt, &checked(&told)).await;
    world.agent(attempt, &device).await;
    assert_eq!(client.post(attempt, "start", &json!({})).await.0, 200);
    let note = MachineRule::Note.severity().value();
    assert_eq!(
        graded(&world, IncidentKind::VirtualMachine).await,
        [(note, "QEMU".to_owned())]
    );
    assert_eq!(
        graded(&world, IncidentKind::ProxyInUse).await,
        [(note, "proxy.kz:3128".to_owned())]
    );
}

#[tokio::test]
async fn each_word_of_the_lockdown_is_kept_and_what_may_matter_is_an_incident() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let (client, _agent) = world.running(&device, "a", attempt).await;
    let event = |kind: &str, detail: &str| json!({ "kind": kind, "ago_ms": 0, "at": Now::default(), "detail": detail });
    let events = [
        event("accessibility_switched", "off"),
        event("focus_lost", ""),
        event("focus_back", ""),
        event("measure_failed", "keyboard: held by another"),
        event("measure_failed", "notifications: no bus"),
        event("client_restarted", ""),
        event("accessibility_switched", "on"),
    ];
    let body = json!({ "events": events });
    assert_eq!(client.post(attempt, "events", &body).await.0, 204);
    assert_eq!(graded(&world, IncidentKind::FocusLost).await.len(), 1);
    assert_eq!(graded(&world, IncidentKind::ClientRestarted).await.len(), 1);
    assert_eq!(
        graded(&world, IncidentKind::AccessibilitySwitched)
            .await
            .len(),
        1,
        "switching off is what the kiosk does in each exam"
    );
    let locks = graded(&world, IncidentKind::LockIncomplete).await;
    assert_eq!(locks.len(), 2, "no measure hides behind another");

    let folder = world.data.path().join("export");
    let sealed = crate::evidence::export(
        &world.state,
        attempt,
        crate::evidence::ScoredInputs::Sealed,
        &folder,
    );
    sealed.await.expect("exported");
    let told = std::fs::read(folder.join("machine.json")).expect("the export tells of it");
    let told: Value = serde_json::from_slice(&told).expect("JSON");
    assert_eq!(told["events"].as_array().expect("events").len(), 7);
    assert_eq!(
        told["checks"][0]["lines"].as_array().expect("lines").len(),
        CheckName::ALL.len()
    );
    assert_eq!(told["checks"][0]["faults"], json!([]));
}

#[tokio::test]
async fn a_flood_of_events_is_kept_to_a_bound_and_told_of() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let client = world.at_the_gate(&Device::new(), "a", attempt).await;
    let event =
        json!({ "kind": "focus_back", "ago_ms": u64::MAX, "at": Now::default(), "detail": "" });
    let body = json!({ "events": vec![event; 256] });
    let earlier = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 19999) \
        INSERT INTO client_events (institution_id, attempt_id, epoch, kind, at_ms, client_at_us, \
        detail) SELECT a.institution_id, a.id, 1, 'focus_back', 0, 0, '' FROM attempts a, n";
    let mut tx = world.state.store.begin().await.expect("a writer");
    qorgan_store::query(earlier)
        .execute(&mut *tx)
        .await
        .expect("stored");
    tx.commit().await.expect("stored");
    for _ in 0..3 {
        assert_eq!(client.post(attempt, "events", &body).await.0, 204);
    }
    let stored: i64 = qorgan_store::query_scalar("SELECT COUNT(*) FROM client_events")
        .fetch_one(world.state.store.read())
        .await
        .expect("read");
    assert_eq!(
        stored,
        19_999 + 256,
        "no more once there are as many as are kept"
    );
    assert_eq!(graded(&world, IncidentKind::NotWatched).await.len(), 1);
}

#[tokio::test]
async fn another_address_is_seen_and_stands_in_no_incident() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let (_client, _agent) = world.running(&device, "a", attempt).await;
    let registry = &world.state.registry;
    let caller = caller_of(&world, attempt).await;
    for (address, incidents) in [
        ("127.0.0.1", 0),
        ("203.0.113.9", 1),
        ("203.0.113.9", 1),
        ("127.0.0.1", 2),
        ("203.0.113.9", 2),
        ("2001:db8::1", 3),
        ("2001:db8::2", 3),
    ] {
        let address = address.parse().expect("an address");
        let heard = registry.hear(attempt, &caller, address).await;
        heard.expect("stored");
        let found = graded(&world, IncidentKind::AddressChanged).await;
        assert_eq!(found.len(), incidents, "{address}: {found:?}");
        assert!(found.iter().all(|(_, detail)| !detail.contains("203.0")));
    }
    let addresses = registry.addresses(attempt).await.expect("readable");
    let told: Vec<_> = addresses.iter().map(|line| line.address.as_str()).collect();
    assert_eq!(told, ["127.0.0.1", "203.0.113.9", "2001:db8::"]);
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(world.data.path().join("data")).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            bytes.extend(std::fs::read(path).expect("readable"));
        }
    }
    let plain = bytes.windows(11).any(|window| window == b"203.0.113.9");
    assert!(!plain, "an address lies open in the data folder");
}

#[tokio::test]
async fn a_client_that_was_replaced_and_still_speaks_is_a_second_machine() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let (before, _agent) = world.running(&device, "a", attempt).await;
    assert_eq!(before.get(attempt, "view").await.0, 200);
    let after = world.sign_in(&device.restarted(), "a").await;
    after.check_in(attempt).await;
    let found = graded(&world, IncidentKind::SecondMachine).await;
    assert_eq!(found.len(), 1, "the first one still ran: {found:?}");
    assert_eq!(graded(&world, IncidentKind::ClientRestarted).await.len(), 1);
    for _ in 0..3 {
        assert_eq!(before.get(attempt, "items/1").await.0, 409);
    }
    let found = graded(&world, IncidentKind::SecondMachine).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(after.get(attempt, "view").await.0, 200);
}

#[tokio::test]
async fn a_signed_request_that_comes_twice_is_told_of() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let (client, _agent) = world.running(&device, "a", attempt).await;
    let item = target(attempt, "items/1");
    let proof = client.proof("GET", &item, b"");
    for wanted in [200, 403, 403] {
        let reply = client.send_with("GET", &item, (b"", Some(&proof))).await;
        assert_eq!(reply.status(), wanted);
    }
    let found = graded(&world, IncidentKind::SecondMachine).await;
    assert_eq!(found.len(), 1, "{found:?}");
}

async fn caller_of(world: &World, attempt: AttemptId) -> crate::registry::Caller {
    let row: (String, Vec<u8>, Vec<u8>, Vec<u8>) = qorgan_store::query_as(
        "SELECT person_id, device_key, boot, instance FROM attempts WHERE id = $1",
    )
    .bind(attempt.to_string())
    .fetch_one(world.state.store.read())
    .await
    .expect("read");
    crate::registry::Caller {
        person: row.0.parse().expect("an id"),
        device_key: qorgan_protocol::crypto::PublicKey(row.1.try_into().expect("a key")),
        boot: qorgan_protocol::ids::BootId(row.2.try_into().expect("an id")),
        instance: row.3.try_into().expect("16 bytes"),
    }
}

#[tokio::test]
async fn an_identity_refused_in_the_exam_covers_tells_why_and_leads_on() {
    let world = World::start().await;
    let proctor = world.person("proctor").await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let (client, _agent) = world.running(&device, "a", attempt).await;
    assert_eq!(client.get(attempt, "items/1").await.0, 200);
    let registry = &world.state.registry;
    let decide = |decision, reason: &'static str| {
        registry.decide_identity(attempt, decision, proctor, reason)
    };
    let unsaid = decide(IdentityDecision::Refuse, "  ").await;
    unsaid.expect_err("a refusal needs a reason");
    assert_eq!(client.get(attempt, "items/1").await.0, 200);

    let refused = decide(IdentityDecision::Refuse, "another person").await;
    refused.expect("decided");
    let (status, problem) = client.get(attempt, "items/1").await;
    assert_eq!((status, &problem["code"]), (409, &json!("covered")));
    let (_status, view) = client.get(attempt, "view").await;
    assert_eq!(view["covered"], json!("identity"));
    assert_eq!(view["identity_reason"], json!("another person"));

    let show = json!({ "document": null });
    assert_eq!(client.post(attempt, "identity", &show).await.0, 204);
    world.agent(attempt, &device).await;
    assert_eq!(
        client.get(attempt, "items/1").await.0,
        409,
        "a proctor looks"
    );
    let (_status, view) = client.get(attempt, "view").await;
    assert_eq!(view["identity"], json!("waiting"));
    assert_eq!(view["identity_reason"], Value::Null);
    let approved = decide(IdentityDecision::Approve { document: None }, "").await;
    approved.expect("decided");
    world.agent(attempt, &device).await;
    assert_eq!(client.get(attempt, "items/1").await.0, 200);

    decide(IdentityDecision::Refuse, "wrong window")
        .await
        .expect("decided");
    decide(IdentityDecision::TakeBack, "")
        .await
        .expect("taken back");
    world.agent(attempt, &device).await;
    assert_eq!(client.get(attempt, "items/1").await.0, 200);
    decide(IdentityDecision::AskAgain, "turn to the window")
        .await
        .expect("asked");
    assert_eq!(client.get(attempt, "items/1").await.0, 409);
    let (_status, view) = client.get(attempt, "view").await;
    assert_eq!(view["identity_reason"], json!("turn to the window"));

    let words: Vec<String> =
        qorgan_store::query_scalar("SELECT decision FROM identity_decisions ORDER BY id")
            .fetch_all(world.state.store.read())
            .await
            .expect("read");
    let wanted = "shown refused shown approved refused taken_back asked";
    assert_eq!(words.join(" "), wanted);
    let reason: Vec<u8> = qorgan_store::query_scalar(
        "SELECT reason FROM identity_decisions WHERE decision = 'asked'",
    )
    .fetch_one(world.state.store.read())
    .await
    .expect("read");
    assert!(!reason.windows(6).any(|window| window == b"window"));
}

#[tokio::test]
async fn an_identity_that_is_shown_too_often_is_refused_whole_and_people_are_told() {
    let world = World::start().await;
    let proctor = world.person("proctor").await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let (client, _agent) = world.running(&Device::new(), "a", attempt).await;
    let registry = &world.state.registry;
    let decide = |decision| registry.decide_identity(attempt, decision, proctor, "");
    decide(IdentityDecision::AskAgain).await.expect("asked");
    let mut tx = world.state.store.begin().await.expect("a writer");
    // It was shown once at check-in.
    qorgan_store::query(
        "WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 100) \
         INSERT INTO identity_decisions (institution_id, attempt_id, epoch, at_ms, decision) \
         SELECT institution_id, id, 1, 1, 'shown' FROM attempts, n WHERE id = $1",
    )
    .bind(attempt.to_string())
    .execute(&mut *tx)
    .await
    .expect("stored");
    tx.commit().await.expect("stored");
    let show = json!({ "document": null });
    let (status, problem) = client.post(attempt, "identity", &show).await;
    assert_eq!((status, &problem["code"]), (429, &json!("too_many")));
    let (_status, view) = client.get(attempt, "view").await;
    assert_eq!(view["identity"], json!("again"), "nothing is on its way");
    let told = graded(&world, IncidentKind::NotWatched).await;
    let of_it = |(_, detail): &&(f64, String)| detail.contains("identity was shown more often");
    assert_eq!(told.iter().filter(of_it).count(), 1, "{told:?}");
    // What nobody saw is not approved, and a person decides all the same.
    let approve = IdentityDecision::Approve { document: None };
    decide(approve).await.expect_err("nothing was shown");
    let refuse = IdentityDecision::Refuse;
    let refused = registry.decide_identity(attempt, refuse, proctor, "Call the centre.");
    refused.await.expect("decided");
}

#[tokio::test]
async fn after_a_restart_of_the_server_the_reason_is_still_told() {
    let world = World::start().await;
    let proctor = world.person("proctor").await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let client = world.at_the_gate(&device, "a", attempt).await;
    let registry = &world.state.registry;
    registry
        .decide_identity(attempt, IdentityDecision::Refuse, proctor, "too dark")
        .await
        .expect("decided");
    drop(client);
    let world = world.restart().await;
    let client = world.sign_in(&device, "a").await;
    client.check_in(attempt).await;
    let (_status, view) = client.get(attempt, "view").await;
    assert_eq!(view["identity_reason"], json!("too dark"));
}

#[tokio::test]
async fn another_machine_is_checked_and_its_sitter_identified_before_items_show_again() {
    let world = World::start().await;
    let proctor = world.person("proctor").await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let (first, second) = (Device::new(), Device::new());
    let (_old, _agent) = world.running(&first, "a", attempt).await;
    let registry = &world.state.registry;
    registry
        .decide_identity(
            attempt,
            IdentityDecision::Approve { document: None },
            proctor,
            "",
        )
        .await
        .expect("decided");
    let new = world.sign_in(&second, "a").await;
    assert_eq!(new.try_check_in(attempt).await.0, 409);
    let asked = registry.moves(attempt).await.expect("readable");
    registry
        .approve_move(attempt, asked[0].id, true, proctor)
        .await
        .expect("it waits");
    new.check_in(attempt).await;
    world.agent(attempt, &second).await;
    assert_eq!(new.get(attempt, "items/1").await.0, 409);
    let (_status, view) = new.get(attempt, "view").await;
    assert_eq!(view["identity"], json!("again"));
    assert_eq!(view["tasks"]["system_check"], json!(false));

    let show = json!({ "document": null });
    let (status, problem) = new.post(attempt, "identity", &show).await;
    assert_eq!((status, &problem["code"]), (409, &json!("check_failed")));
    let virtual_machine = checked(&[("virtual_machine", "warning", "QEMU")]);
    let told = new.post(attempt, "system-check", &virtual_machine).await;
    assert_eq!(told.0, 204);
    assert_eq!(new.post(attempt, "identity", &show).await.0, 204);
    let early = registry
        .decide_identity(
            attempt,
            IdentityDecision::Approve { document: None },
            proctor,
            "",
        )
        .await;
    early.expect_err("the machine waits for a decision too");
    registry
        .accept_machine(attempt, proctor, "the centre's own")
        .await
        .expect("it waits");
    registry
        .decide_identity(
            attempt,
            IdentityDecision::Approve { document: None },
            proctor,
            "",
        )
        .await
        .expect("decided");
    world.agent(attempt, &second).await;
    assert_eq!(new.get(attempt, "items/1").await.0, 200);
}
