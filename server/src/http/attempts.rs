//! One attempt, from check-in to submission. The registry decides; these only carry.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use qorgan_protocol::assessment::ItemPage;
use qorgan_protocol::crypto::PublicKey;
use qorgan_protocol::ids::{AttemptId, PictureId};
use qorgan_protocol::wire::{
    AcceptedResponses, AgentEnrolReply, AgentEnrolRequest, AttemptView, CheckInReply,
    CheckInRequest, ClientEvents, ConsentReply, ConsentRequest, Hex, IdentityRequest,
    InstructionRequest, ItemList, Problem, ProblemCode, RaiseHandRequest, ResponsesRequest,
    SendMessageRequest, StoredResponses, SubmitReply, SubmitRequest, SystemCheckRequest,
};
use serde::Deserialize;

use super::by_client::{ByClient, NoBody};
use super::error::ApiError;
use super::json::ApiJson;
use crate::auth::AgentAuth;
use crate::registry::AgentKey;
use crate::state::AppState;
use qorgan_store::people;

type Reply<T> = Result<Json<T>, ApiError>;
type Done = Result<StatusCode, ApiError>;

/// Binds the attempt to this machine and begins check-in.
#[utoipa::path(post, path = "/api/v1/attempts/{attempt}/check-in", request_body = CheckInRequest,
    params(("attempt" = AttemptId, Path)), security(("bearer" = [])), responses(
    (status = 200, body = CheckInReply),
    (status = 403, body = Problem, description = "not_admitted, too_early, too_late"),
    (status = 409, body = Problem, description = "bound_elsewhere, wrong_phase"),
    (status = 429, body = Problem, description = "too_many: the machine checks in over and over"),
))]
pub(super) async fn check_in(
    State(state): State<AppState>,
    Path(attempt): Path<AttemptId>,
    ByClient(caller, ApiJson(request)): ByClient<ApiJson<CheckInRequest>>,
) -> Reply<CheckInReply> {
    let key = public_key(&request.client_key)?;
    if !["kk", "ru", "en"].contains(&request.language.as_str()) {
        return Err(ApiError::refuse(ProblemCode::BadRequest, "language"));
    }
    let language = request.language.as_str();
    Ok(Json(
        state
            .registry
            .check_in(attempt, &caller, key, language)
            .await?,
    ))
}

/// Records consent, and hands out the agent's token.
#[utoipa::path(post, path = "/api/v1/attempts/{attempt}/consent", request_body = ConsentRequest,
    params(("attempt" = AttemptId, Path)), security(("bearer" = [])), responses(
    (status = 200, body = ConsentReply),
    (status = 409, body = Problem, description = "old_epoch, bound_elsewhere, wrong_phase"),
))]
pub(super) async fn consent(
    State(state): State<AppState>,
    Path(attempt): Path<AttemptId>,
    ByClient(caller, ApiJson(request)): ByClient<ApiJson<ConsentRequest>>,
) -> Reply<ConsentReply> {
    let epoch = state.registry.consent(attempt, &caller, &request).await?;
    let agent_token = if request.agreed {
        state
            .auth
            .issue_agent_token(caller.person, attempt, epoch)
            .await?
    } else {
        String::new()
    };
    Ok(Json(ConsentReply {
        agent_token,
        bandwidth: state.registry.bandwidth(attempt).await?,
        contact: state.config.institution.support.clone(),
    }))
}

/// Records what the client found of its machine.
#[utoipa::path(post, path = "/api/v1/attempts/{attempt}/system-check",
    request_body = SystemCheckRequest, params(("attempt" = AttemptId, Path)),
    security(("bearer" = [])),
    responses((status = 204), (status = 409, body = Problem)))]
pub(super) async fn system_check(
    State(state): State<AppState>,
    Path(attempt): Path<AttemptId>,
    ByClient(caller, ApiJson(request)): ByClient<ApiJson<SystemCheckRequest>>,
) -> Done {
    state
        .registry
        .system_check(attempt, &caller, &request)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The candidate shows face and document.
#[utoipa::path(post, path = "/api/v1/attempts/{attempt}/identity", request_body = IdentityRequest,
    params(("attempt" = AttemptId, Path)), security(("bearer" = [])),
    responses((status = 204), (status = 409, body = Problem)))]
pub(super) async fn identity(
    State(state): State<AppState>,
    Path(attempt): Path<AttemptId>,
    ByClient(caller, ApiJson(request)): ByClient<ApiJson<IdentityRequest>>,
) -> Done {
    state.registry.identity(attempt, &caller, request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The instruction was read to its end.
#[utoipa::path(post, path = "/api/v1/attempts/{attempt}/instruction",
    request_body = InstructionRequest, params(("attempt" = AttemptId, Path)),
    security(("bearer" = [])),
    responses((status = 204), (status = 409, body = Problem)))]
pub(super) async fn instruction(
    State(state): State<AppState>,
    Path(attempt): Path<AttemptId>,
    ByClient(caller, ApiJson(request)): ByClient<ApiJson<InstructionRequest>>,
) -> Done {
    state
        .registry
        .instruction(attempt, &caller, &request)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Returns the photo on file.
#[utoipa::path(get, path = "/api/v1/attempts/{attempt}/photo",
    params(("attempt" = AttemptId, Path)), security(("bearer" = [])), responses(
    (status = 200, content_type = "image/jpeg", body = [u8]), (status = 404, body = Problem)))]
pub(super) async fn photo(
    State(state): State<AppState>,
    Path(attempt): Path<AttemptId>,
    ByClient(caller, NoBody): ByClient,
) -> Result<Response, ApiError> {
    state.registry.bound(attempt, &caller).await?;
    let photo = people::photo(&state.store, &state.keys, caller.person)
        .await?
        .ok_or_else(|| ApiError::refuse(ProblemCode::NotFound, "no photo on file"))?;
    Ok(([(header::CONTENT_TYPE, "image/jpeg")], photo).into_response())
}

/// Starts, where the gate is open.
#[utoipa::path(post, path = "/api/v1/attempts/{attempt}/start",
    params(("attempt" = AttemptId, Path)), security(("bearer" = [])), responses(
    (status = 200, body = AttemptView),
    (status = 409, body = Problem, description = "gate_closed, wrong_phase")))]
pub(super) async fn start(
    State(state): State<AppState>,
    Path(attempt): Path<AttemptId>,
    ByClient(caller, NoBody): ByClient,
) -> Reply<AttemptView> {
    Ok(Json(state.registry.start(attempt, &caller).await?))
}

/// When to answer.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ViewQuery {
    /// The version that is known; answered at once when it is older than the newest.
    #[serde(default)]
    after: u64,
    /// How long to wait for a newer one, in milliseconds, at most 2,000.
    #[serde(default)]
    wait_ms: u64,
}

/// Returns everything that the client shows; each answer renews the lease it carries.
#[utoipa::path(get, path = "/api/v1/attempts/{attempt}/view",
    params(("attempt" = AttemptId, Path), ViewQuery), security(("bearer" = [])), responses(
    (status = 200, body = AttemptView),
    (status = 409, body = Problem, description = "old_epoch, bound_elsewhere")))]
pub(super) async fn view(
    State(state): State<AppState>,
    Path(attempt): Path<AttemptId>,
    Query(query): Query<ViewQuery>,
    ByClient(caller, NoBody): ByClient,
) -> Reply<AttemptView> {
    let wait = Duration::from_millis(query.wait_ms);
    Ok(Json(
        state
            .registry
            .view(attempt, &caller, query.after, wait)
            .await?,
    ))
}

/// Lists the items' places, under a lease.
#[utoipa::path(get, path = "/api/v1/attempts/{attempt}/items",
    params(("attempt" = AttemptId, Path)), security(("bearer" = [])), responses(
    (status = 200, body = ItemList),
    (status = 409, body = Problem, description = "covered, gate_closed, wrong_phase")))]
pub(super) async fn items(
    State(state): State<AppState>,
    Path(attempt): Path<AttemptId>,
    ByClient(caller, NoBody): ByClient,
) -> Reply<ItemList> {
    Ok(Json(state.registry.items(attempt, &caller).await?))
}

/// Returns one item, under a lease.
#[utoipa::path(get, path = "/api/v1/attempts/{attempt}/items/{position}",
    params(("attempt" = AttemptId, Path), ("position" = u16, Path)), security(("bearer" = [])),
    responses((status = 200, body = ItemPage),
    (status = 429, body = Problem, description = "too_many: new items open at a reader's pace"),
    (status = 409, body = Problem, description = "covered, gate_closed, wrong_phase")))]
pub(super) async fn item(
    State(state): State<AppState>,
    Path((attempt, position)): Path<(AttemptId, u16)>,
    ByClient(caller, NoBody): ByClient,
) -> Reply<ItemPage> {
    Ok(Json(state.registry.item(attempt, &caller, position).await?))
}

/// Returns a picture, under a lease.
#[utoipa::path(get, path = "/api/v1/attempts/{attempt}/pictures/{picture}",
    params(("attempt" = AttemptId, Path), ("picture" = PictureId, Path)),
    security(("bearer" = [])), responses(
    (status = 200, content_type = "image/png", body = [u8]),
    (status = 409, body = Problem, description = "covered, gate_closed, wrong_phase")))]
pub(super) async fn picture(
    State(state): State<AppState>,
    Path((attempt, picture)): Path<(AttemptId, PictureId)>,
    ByClient(caller, NoBody): ByClient,
) -> Result<Response, ApiError> {
    let (media_type, bytes) = state.registry.picture(attempt, &caller, picture).await?;
    Ok(([(header::CONTENT_TYPE, media_type)], bytes).into_response())
}

/// Stores responses and signs for them.
#[utoipa::path(post, path = "/api/v1/attempts/{attempt}/responses",
    request_body = ResponsesRequest, params(("attempt" = AttemptId, Path)),
    security(("bearer" = [])), responses(
    (status = 200, body = AcceptedResponses),
    (status = 409, body = Problem, description = "old_epoch, out_of_order, wrong_phase")))]
pub(super) async fn responses(
    State(state): State<AppState>,
    Path(attempt): Path<AttemptId>,
    ByClient(caller, ApiJson(request)): ByClient<ApiJson<ResponsesRequest>>,
) -> Reply<AcceptedResponses> {
    Ok(Json(
        state.registry.responses(attempt, &caller, &request).await?,
    ))
}

/// Returns the newest stored response of each item, under a lease.
#[utoipa::path(get, path = "/api/v1/attempts/{attempt}/responses",
    params(("attempt" = AttemptId, Path)), security(("bearer" = [])), responses(
    (status = 200, body = StoredResponses),
    (status = 409, body = Problem, description = "covered, gate_closed, old_epoch, wrong_phase")))]
pub(super) async fn read_back(
    State(state): State<AppState>,
    Path(attempt): Path<AttemptId>,
    ByClient(caller, NoBody): ByClient,
) -> Reply<StoredResponses> {
    Ok(Json(state.registry.read_back(attempt, &caller).await?))
}

/// Submits the attempt.
#[utoipa::path(post, path = "/api/v1/attempts/{attempt}/submit", request_body = SubmitRequest,
    params(("attempt" = AttemptId, Path)), security(("bearer" = [])), responses(
    (status = 200, body = SubmitReply),
    (status = 403, body = Problem, description = "too_late"),
    (status = 409, body = Problem, description = "old_epoch, out_of_order, wrong_phase")))]
pub(super) async fn submit(
    State(state): State<AppState>,
    Path(attempt): Path<AttemptId>,
    ByClient(caller, ApiJson(request)): ByClient<ApiJson<SubmitRequest>>,
) -> Reply<SubmitReply> {
    Ok(Json(
        state.registry.submit(attempt, &caller, &request).await?,
    ))
}

/// Sends a message to the proctor.
#[utoipa::path(post, path = "/api/v1/attempts/{attempt}/messages",
    request_body = SendMessageRequest, params(("attempt" = AttemptId, Path)),
    security(("bearer" = [])), responses((status = 204), (status = 400, body = Problem)))]
pub(super) async fn message(
    State(state): State<AppState>,
    Path(attempt): Path<AttemptId>,
    ByClient(caller, ApiJson(request)): ByClient<ApiJson<SendMessageRequest>>,
) -> Done {
    state
        .registry
        .candidate_message(attempt, &caller, &request.text)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Raises the candidate's hand or takes it down.
#[utoipa::path(post, path = "/api/v1/attempts/{attempt}/hand", request_body = RaiseHandRequest,
    params(("attempt" = AttemptId, Path)), security(("bearer" = [])),
    responses((status = 204), (status = 409, body = Problem)))]
pub(super) async fn hand(
    State(state): State<AppState>,
    Path(attempt): Path<AttemptId>,
    ByClient(caller, ApiJson(request)): ByClient<ApiJson<RaiseHandRequest>>,
) -> Done {
    state
        .registry
        .hand(attempt, &caller, request.raised)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes what the kiosk's lockdown saw.
#[utoipa::path(post, path = "/api/v1/attempts/{attempt}/events", request_body = ClientEvents,
    params(("attempt" = AttemptId, Path)), security(("bearer" = [])),
    responses((status = 204), (status = 413, body = Problem)))]
pub(super) async fn events(
    State(state): State<AppState>,
    Path(attempt): Path<AttemptId>,
    ByClient(caller, ApiJson(request)): ByClient<ApiJson<ClientEvents>>,
) -> Done {
    state
        .registry
        .client_events(attempt, &caller, &request)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Certifies the agent's key for its attempt and epoch.
#[utoipa::path(post, path = "/api/v1/agent/enrol", request_body = AgentEnrolRequest,
    security(("bearer" = [])), responses(
    (status = 200, body = AgentEnrolReply),
    (status = 403, body = Problem, description = "not_proved"),
    (status = 409, body = Problem, description = "old_epoch, wrong_phase")))]
pub(super) async fn enrol(
    State(state): State<AppState>,
    agent: AgentAuth,
    ApiJson(request): ApiJson<AgentEnrolRequest>,
) -> Reply<AgentEnrolReply> {
    let (attempt, epoch) = (agent.attempt, agent.epoch);
    let proof = state
        .auth
        .check_enrolment(&request.key, request.proof, attempt, epoch)?;
    let key = AgentKey {
        key: proof.key,
        grant: (&request.grant.into(), agent.token),
        boot: proof.boot,
        version: &request.agent_version,
        simulated_build: request.simulated_build,
    };
    Ok(Json(
        state.registry.enrol_agent(attempt, epoch, &key).await?,
    ))
}

fn public_key(hex: &Hex) -> Result<PublicKey, ApiError> {
    <[u8; 32]>::try_from(hex.0.as_slice())
        .map(PublicKey)
        .map_err(|_len| ApiError::refuse(ProblemCode::BadRequest, "a key has 32 bytes"))
}
