//! Before an attempt: who the server is, sign-in, exams.

use axum::Json;
use axum::extract::State;
use qorgan_protocol::wire::{
    ChallengeReply, ExamCard, Hex, Problem, ServerHello, SignInReply, SignInRequest,
};

use super::by_client::{ByClient, NoBody};
use super::error::ApiError;
use super::json::ApiJson;
use crate::auth::PeerAddress;
use crate::state::AppState;

/// Says that the server is up and its database answers.
#[utoipa::path(get, path = "/healthz", responses((status = 200, body = String)))]
pub(super) async fn health(State(state): State<AppState>) -> Result<&'static str, ApiError> {
    qorgan_store::query_scalar::<i64>("SELECT CAST(1 AS BIGINT)")
        .fetch_one(state.store.read())
        .await
        .map_err(qorgan_store::StoreError::from)?;
    Ok("ok")
}

/// Says who the server is.
#[utoipa::path(get, path = "/api/v1/hello", responses((status = 200, body = ServerHello)))]
pub(super) async fn hello(State(state): State<AppState>) -> Json<ServerHello> {
    let institution = &state.config.institution;
    Json(ServerHello {
        institution: state.institution(),
        name_kk: institution.name_kk.clone(),
        name_ru: institution.name_ru.clone(),
        name_en: institution.name_en.clone(),
        support: institution.support.clone(),
        version_min: API_VERSION,
        version_max: API_VERSION,
        server_key: Hex(state.keys.public_key().0.to_vec()),
        now: state.clock.wall(),
    })
}

/// Makes a nonce for one sign-in or enrolment.
#[utoipa::path(post, path = "/api/v1/challenge", responses((status = 200, body = ChallengeReply)))]
pub(super) async fn challenge(
    State(state): State<AppState>,
) -> Result<Json<ChallengeReply>, ApiError> {
    let nonce = Hex(state.auth.challenge()?.to_vec());
    Ok(Json(ChallengeReply { nonce }))
}

/// Signs a candidate in.
#[utoipa::path(post, path = "/api/v1/sign-in", request_body = SignInRequest, responses(
    (status = 200, body = SignInReply),
    (status = 401, body = Problem, description = "wrong_password"),
    (status = 403, body = Problem, description = "not_proved"),
    (status = 429, body = Problem, description = "too_many"),
))]
pub(super) async fn sign_in(
    State(state): State<AppState>,
    PeerAddress(address): PeerAddress,
    ApiJson(request): ApiJson<SignInRequest>,
) -> Result<Json<SignInReply>, ApiError> {
    Ok(Json(state.auth.sign_in_client(request, address).await?))
}

/// Lists the candidate's exams.
#[utoipa::path(get, path = "/api/v1/my/exams", security(("bearer" = [])),
    responses((status = 200, body = Vec<ExamCard>), (status = 401, body = Problem)))]
pub(super) async fn my_exams(
    State(state): State<AppState>,
    ByClient(caller, NoBody): ByClient,
) -> Result<Json<Vec<ExamCard>>, ApiError> {
    Ok(Json(state.registry.cards(caller.person).await?))
}

const API_VERSION: u16 = 1;
