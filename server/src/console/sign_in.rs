//! Sign-in with password and code, the first password, the second factor, the language.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::header::{RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use qorgan_documents::{QrPath, qr_path};
use qorgan_protocol::wire::ProblemCode;
use serde::Deserialize;

use super::error::{Answer, ConsoleError};
use super::page::{LANGUAGE_COOKIE, Page, Visitor, show};
use super::posted::PostedEarly;
use super::texts::Language;
use crate::auth::{
    AuthError, PeerAddress, StaffSession, clear_cookie, cookie, forget_first_password,
};
use crate::state::AppState;

#[derive(Debug, Template)]
#[template(path = "console/sign_in.html")]
struct SignInPage {
    page: Page,
    problem: Option<String>,
    back: String,
    login: String,
}

/// Where a sign-in leads back to.
#[derive(Debug, Deserialize)]
pub(super) struct Back {
    #[serde(default)]
    back: String,
}

/// What somebody typed to sign in.
#[derive(Deserialize)]
pub(super) struct Typed {
    login: String,
    password: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    back: String,
}

/// `GET /console/sign-in`; leads on who has signed in but not finished.
pub(super) async fn form(
    visitor: Visitor,
    State(state): State<AppState>,
    Query(query): Query<Back>,
    session: Result<StaffSession, crate::auth::AuthRejection>,
) -> Answer {
    if let Ok(session) = session {
        return Ok(Redirect::to(next_page(&session)).into_response());
    }
    sign_in_page(&state, &visitor, None, own_path(&query.back), "")
}

/// `POST /console/sign-in`.
pub(super) async fn sign_in(
    visitor: Visitor,
    State(state): State<AppState>,
    PeerAddress(address): PeerAddress,
    headers: HeaderMap,
    Form(typed): Form<Typed>,
) -> Answer {
    if is_from_another_site(&headers) {
        return Err(ConsoleError::Refused(ProblemCode::Forbidden));
    }
    if [&typed.login, &typed.password, &typed.code]
        .iter()
        .any(|text| text.contains('\0'))
    {
        return Err(ConsoleError::Refused(ProblemCode::BadRequest));
    }
    let code = Some(typed.code.trim()).filter(|code| !code.is_empty());
    let login = typed.login.trim();
    match state
        .auth
        .sign_in_staff(login, &typed.password, code, address)
        .await
    {
        Ok(done) => {
            let to = if done.must_change {
                "/console/password"
            } else if done.needs_totp {
                "/console/totp"
            } else {
                own_path(&typed.back)
            };
            let mut response = Redirect::to(to).into_response();
            response
                .headers_mut()
                .append(SET_COOKIE, cookie(&done.token)?);
            Ok(response)
        }
        Err(error) if error.is_fault() => Err(error.into()),
        Err(error) => {
            let problem = Some(told(visitor.language(), &error));
            // A login that is too long is not given back.
            let login = if matches!(error, AuthError::TooLong) {
                ""
            } else {
                login
            };
            let mut response =
                sign_in_page(&state, &visitor, problem, own_path(&typed.back), login)?;
            let told = error.problem();
            *response.status_mut() =
                StatusCode::from_u16(told.code.status()).unwrap_or(StatusCode::UNAUTHORIZED);
            if let Some(seconds) = told.retry_after_s {
                let value = HeaderValue::from(seconds);
                response.headers_mut().insert(RETRY_AFTER, value);
            }
            Ok(response)
        }
    }
}

/// Returns why somebody is not signed in, with when to try again.
fn told(language: Language, error: &AuthError) -> String {
    let problem = error.problem();
    let word = problem.code.word();
    match (problem.code, problem.retry_after_s) {
        (ProblemCode::WrongPassword | ProblemCode::BadRequest, _) => {
            language.text("password-wrong")
        }
        (_, Some(seconds)) => {
            let wait = language.fill("try-again-in", &[("seconds", seconds.to_string())]);
            format!("{}. {wait}", language.text(&format!("problem-{word}")))
        }
        (_, None) => {
            let remedy = language.text(&format!("remedy-{word}"));
            format!("{}. {remedy}", language.text(&format!("problem-{word}")))
        }
    }
}

/// Tells whether a browser says that another site's page sent the form: nobody is signed in as somebody
/// else by a link. Programs say nothing.
fn is_from_another_site(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        return !matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text("origin") else {
        return false;
    };
    let host = origin.split_once("://").map(|(_scheme, host)| host);
    host.is_none() || host != text("host")
}

fn sign_in_page(
    state: &AppState,
    visitor: &Visitor,
    problem: Option<String>,
    back: &str,
    login: &str,
) -> Answer {
    show(&SignInPage {
        page: Page::new(state, visitor, None),
        problem,
        back: back.to_owned(),
        login: login.to_owned(),
    })
}

/// `POST /console/sign-out`.
pub(super) async fn sign_out(State(state): State<AppState>, posted: PostedEarly) -> Answer {
    state.auth.sign_out(&posted.session.token).await?;
    let mut response = Redirect::to("/console/sign-in").into_response();
    response.headers_mut().append(SET_COOKIE, clear_cookie());
    Ok(response)
}

#[derive(Debug, Template)]
#[template(path = "console/password.html")]
struct PasswordPage {
    page: Page,
    problem: Option<String>,
}

/// `GET /console/password`.
pub(super) async fn password_form(
    visitor: Visitor,
    State(state): State<AppState>,
    session: StaffSession,
) -> Answer {
    show(&PasswordPage {
        page: Page::new(&state, &visitor, Some(&session)),
        problem: None,
    })
}

/// `POST /console/password`: the old one is asked for again, so that an open browser is not enough.
pub(super) async fn password(
    visitor: Visitor,
    State(state): State<AppState>,
    PeerAddress(address): PeerAddress,
    posted: PostedEarly,
) -> Answer {
    let PostedEarly { session, fields } = posted;
    let (old, new) = (fields.raw("old"), fields.raw("new"));
    let wrong = if new != fields.raw("again") {
        "password-differs"
    } else if !state
        .auth
        .password_holds(&session.login, old, address)
        .await?
    {
        "password-wrong"
    } else {
        match state.auth.change_password(&session, new).await {
            Ok(token) => {
                forget_first_password(&state.data, &session.login);
                let mut response = Redirect::to("/console/sign-in").into_response();
                response.headers_mut().append(SET_COOKIE, cookie(&token)?);
                return Ok(response);
            }
            Err(AuthError::BadPassword) => "password-short",
            Err(error) => return Err(error.into()),
        }
    };
    let page = Page::new(&state, &visitor, Some(&session));
    let problem = Some(page.t(wrong));
    show(&PasswordPage { page, problem })
}

#[derive(Debug, Template)]
#[template(path = "console/totp.html")]
struct TotpPage {
    page: Page,
    problem: Option<String>,
    secret: String,
    uri: String,
    code: QrPath,
}

/// `GET /console/totp`.
pub(super) async fn totp_form(
    visitor: Visitor,
    State(state): State<AppState>,
    session: StaffSession,
) -> Answer {
    totp_page(&state, &visitor, &session, None).await
}

/// `POST /console/totp`.
pub(super) async fn totp(
    visitor: Visitor,
    State(state): State<AppState>,
    posted: PostedEarly,
) -> Answer {
    let PostedEarly { session, fields } = posted;
    match state.auth.totp_confirm(&session, fields.get("code")).await {
        Ok(()) => Ok(Redirect::to("/console/").into_response()),
        Err(AuthError::WrongPassword) => {
            totp_page(&state, &visitor, &session, Some("totp-wrong")).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn totp_page(
    state: &AppState,
    visitor: &Visitor,
    session: &StaffSession,
    problem: Option<&str>,
) -> Answer {
    let setup = state.auth.totp_begin(session).await?;
    let page = Page::new(state, visitor, Some(session));
    show(&TotpPage {
        problem: problem.map(|key| page.t(key)),
        // Four letters at a time are easier to type.
        secret: grouped(&setup.secret),
        code: qr_path(&setup.uri).map_err(|_long| ConsoleError::Unready)?,
        uri: setup.uri,
        page,
    })
}

fn grouped(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().collect();
    let groups: Vec<String> = letters
        .chunks(4)
        .map(|four| four.iter().collect())
        .collect();
    groups.join(" ")
}

/// `GET /console/language/{code}`.
pub(super) async fn language(Path(code): Path<String>, Query(query): Query<Back>) -> Answer {
    let chosen = Language::from_code(&code)
        .ok_or(ConsoleError::Refused(ProblemCode::NotFound))?
        .code();
    let text = format!(
        "{LANGUAGE_COOKIE}={chosen}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=31536000"
    );
    let value = HeaderValue::from_str(&text)
        .map_err(|_bad| ConsoleError::Refused(ProblemCode::BadRequest))?;
    let mut response: Response = Redirect::to(own_path(&query.back)).into_response();
    response.headers_mut().append(SET_COOKIE, value);
    Ok(response)
}

fn next_page(session: &StaffSession) -> &'static str {
    if session.must_change {
        "/console/password"
    } else if session.needs_totp {
        "/console/totp"
    } else {
        "/console/"
    }
}

/// Returns a path of ours, never another site's.
fn own_path(path: &str) -> &str {
    let ours = path.starts_with("/console/") || path.starts_with("/verify/");
    if ours && !path.starts_with("/console/sign-in") && !path.contains(['\\', '\r', '\n']) {
        path
    } else {
        "/console/"
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    use super::{is_from_another_site, own_path};

    #[test]
    fn a_form_of_another_site_signs_nobody_in() {
        let from = |pairs: &[(&'static str, &'static str)]| {
            let headers: HeaderMap = pairs
                .iter()
                .map(|(name, value)| {
                    (
                        HeaderName::from_static(name),
                        HeaderValue::from_static(value),
                    )
                })
                .collect();
            is_from_another_site(&headers)
        };
        let host = ("host", "exam.example.kz:8443");
        assert!(!from(&[host]), "a program");
        assert!(!from(&[host, ("origin", "https://exam.example.kz:8443")]));
        assert!(!from(&[host, ("sec-fetch-site", "same-origin")]));
        assert!(from(&[host, ("origin", "https://evil.example")]));
        assert!(from(&[host, ("origin", "null")]));
        for site in ["cross-site", "same-site", "nonsense"] {
            let ours = ("origin", "https://exam.example.kz:8443");
            assert!(from(&[host, ours, ("sec-fetch-site", site)]), "{site}");
        }
    }

    #[test]
    fn nobody_is_led_to_another_site() {
        for bad in [
            "//evil.example",
            "https://evil.example",
            "/\\evil",
            "",
            "/console/sign-in",
        ] {
            assert_eq!(own_path(bad), "/console/", "{bad}");
        }
        assert_eq!(own_path("/console/wall?sitting="), "/console/wall?sitting=");
    }
}
