//! Requests to the server: address, namespace, token, and what its statuses mean.

use std::time::Duration;

use locket_crds::spec::{AuthSpec, Credential, SourceSpec};
use locket_provider::{Error, ErrorKind, SecretValue};
use reqwest::header::HeaderName;
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::auth::{
    AppRoleLogin, LoggedIn, Looked, Token, can_log_in_again, login_path, renew_at, text,
};
use crate::context::{Context, ReadCredential};
use crate::http::{Base, Http, Request, Response};
use std::sync::Arc;

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
/// Proof that the request was meant: no browser or naive proxy sends it.
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");
const DEADLINE: Duration = Duration::from_secs(10);
/// How long a login that failed answers for the next ones: for the rest of a batch, and not for a user who has put it right.
const HOLD: Duration = Duration::from_millis(200);
/// How long a token is left that could not be renewed just now.
const AGAIN: Duration = Duration::from_secs(1);
/// The longest that a server can make us stay away from its login.
const LONGEST_HOLD: Duration = Duration::from_secs(300);

/// One server, one login.
pub(super) struct Api {
    base: Base,
    namespace: Option<SecretValue>,
    auth: AuthSpec,
    ca: Option<Credential>,
    /// Of one exchange.
    pub(super) deadline: Duration,
    credentials: Arc<dyn ReadCredential>,
    http: OnceCell<Http>,
    /// Held while logging in: many callers, one login.
    login: Mutex<Login>,
}

/// How the last login went.
#[derive(Default)]
struct Login {
    token: Option<Arc<Token>>,
    /// It failed, and answers for all who ask until then.
    failed: Option<(Error, Instant)>,
}

impl Api {
    pub(super) fn new(source: &SourceSpec, context: &Context) -> Result<Self, Error> {
        let missing = |what| {
            Error::new(
                ErrorKind::Invalid,
                format!("the source of type {} has no {what}", source.kind),
            )
        };
        let auth = source.auth.clone().ok_or_else(|| missing("auth"))?;
        Ok(Self {
            base: Base::parse(source.url.as_deref().ok_or_else(|| missing("url"))?)?,
            namespace: source
                .namespace
                .as_ref()
                .map(|n| SecretValue::new(n.clone().into_bytes())),
            auth,
            ca: source.ca.clone().map(Credential::File),
            deadline: source.timeout.unwrap_or(DEADLINE),
            credentials: context.credentials.clone(),
            http: OnceCell::new(),
            login: Mutex::default(),
        })
    }

    /// Reads an API path (without `v1/`); `what` is how errors name it.
    ///
    /// A 403 may mean a void token or a missing right; the server says the same. So the token is tried where every
    /// token is let in: if it is good, the right is missing; if not, one new login and one more try.
    pub(super) async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        what: &str,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut token = self.token(None).await?;
        let mut answer = self
            .send(Method::GET, path, query, Some(&token), None)
            .await?;
        if answer.status == StatusCode::FORBIDDEN
            && !self.is_good(&token).await?
            && can_log_in_again(&self.auth)
        {
            token = self.token(Some(token.login)).await?;
            answer = self
                .send(Method::GET, path, query, Some(&token), None)
                .await?;
        }
        if answer.status == StatusCode::FORBIDDEN && !self.is_good(&token).await? {
            let e = Error::new(
                ErrorKind::Unauthenticated,
                format!("{what}: the token is not accepted (403)"),
            );
            return Err(e.help("it is wrong, expired or revoked"));
        }
        judge(answer, what)
    }

    /// The token in use; a new one if there is none, or it is the one that was `refused`.
    ///
    /// Who waits while another logs in has the outcome of that login, good or bad, and does not try again.
    async fn token(&self, refused: Option<u64>) -> Result<Arc<Token>, Error> {
        let mut login = self.login.lock().await;
        let now = Instant::now();
        let fresh =
            |it: &&Arc<Token>| refused != Some(it.login) && it.renew_at.is_none_or(|at| now < at);
        if let Some(it) = login.token.as_ref().filter(fresh) {
            return Ok(it.clone());
        }
        if let Some((error, _)) = login.failed.as_ref().filter(|(_, until)| now < *until) {
            return Err(error.clone());
        }
        match self.new_token(login.token.as_deref(), refused).await {
            Ok(token) => {
                login.failed = None;
                Ok(login.token.insert(Arc::new(token)).clone())
            }
            Err(e) => {
                let wish = match e.kind {
                    ErrorKind::Throttled { after } => after.unwrap_or(HOLD),
                    _ => HOLD,
                };
                let until = Instant::now() + wish.clamp(HOLD, LONGEST_HOLD);
                login.failed = Some((e.clone(), until));
                Err(e)
            }
        }
    }

    /// A token after `before`: the same with a longer life if it was not refused, else a new one.
    async fn new_token(
        &self,
        before: Option<&Token>,
        refused: Option<u64>,
    ) -> Result<Token, Error> {
        if let Some(it) = before.filter(|it| refused != Some(it.login))
            && let Some(renewed) = self.renew(it).await?
        {
            return Ok(renewed);
        }
        self.log_in(before.map_or(0, |it| it.login) + 1).await
    }

    async fn log_in(&self, login: u64) -> Result<Token, Error> {
        match &self.auth {
            AuthSpec::Token(credential) => {
                let value = SecretValue::new(
                    text(&self.credentials.read(credential).await?)?
                        .as_bytes()
                        .to_vec(),
                );
                let mut token = Token {
                    value,
                    login,
                    renew_at: None,
                };
                // A token that may not look at itself is used as it is.
                let looked = self
                    .send(
                        Method::GET,
                        "auth/token/lookup-self",
                        &[],
                        Some(&token),
                        None,
                    )
                    .await?;
                if looked.status != StatusCode::FORBIDDEN {
                    let it: Looked = parse(&judge(looked, "the token")?, "the token")?;
                    token.renew_at = renew_at(it.data.ttl, it.data.renewable);
                }
                Ok(token)
            }
            AuthSpec::Approle {
                role_id,
                secret_id,
                mount,
            } => {
                let secret_id = text(&self.credentials.read(secret_id).await?)?;
                // Room for everything escaped: a buffer that grows leaves a copy behind.
                let mut body = Zeroizing::new(Vec::with_capacity(
                    64 + 6 * (role_id.len() + secret_id.len()),
                ));
                serde_json::to_writer(
                    &mut *body,
                    &AppRoleLogin {
                        role_id,
                        secret_id: &secret_id,
                    },
                )
                .map_err(|_| Error::new(ErrorKind::Invalid, "the login cannot be written"))?;
                let path = login_path(mount.as_deref());
                let answer = self
                    .send(Method::POST, &path, &[], None, Some(body))
                    .await?;
                if matches!(
                    answer.status,
                    StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND
                ) {
                    let e = Error::new(
                        ErrorKind::Unauthenticated,
                        format!("the login at {path} was refused"),
                    );
                    return Err(e.help("check role_id, secret_id, the mount and the namespace"));
                }
                let it: LoggedIn = parse(&judge(answer, &path)?, &path)?;
                let renew_at = renew_at(it.auth.lease_duration, it.auth.renewable);
                Ok(Token {
                    value: SecretValue::new(it.auth.client_token.as_bytes().to_vec()),
                    login,
                    renew_at,
                })
            }
        }
    }

    /// The same token with a longer life, or `None` when there must be a new one.
    async fn renew(&self, token: &Token) -> Result<Option<Token>, Error> {
        let answer = self
            .send(
                Method::POST,
                "auth/token/renew-self",
                &[],
                Some(token),
                Some(Zeroizing::new(b"{}".to_vec())),
            )
            .await?;
        // It lives a third of its life still: a server that is not well is asked again.
        if answer.status == StatusCode::TOO_MANY_REQUESTS || answer.status.is_server_error() {
            return Ok(Some(token.until(Some(Instant::now() + AGAIN))));
        }
        if !answer.status.is_success() {
            return Ok(None);
        }
        let it: LoggedIn = parse(&answer.body, "the renewed token")?;
        // Near its maximal age a token gets less and less: then a new login is due.
        let at = renew_at(it.auth.lease_duration, it.auth.renewable);
        let short = at.is_none_or(|at| at < Instant::now() + Duration::from_secs(1));
        if short && can_log_in_again(&self.auth) {
            return Ok(None);
        }
        Ok(Some(token.until(at)))
    }

    /// The list of what a token can see needs a token and no right; `lookup-self` needs a right that `default` gives.
    async fn is_good(&self, token: &Token) -> Result<bool, Error> {
        let path = "sys/internal/ui/mounts";
        let answer = self.send(Method::GET, path, &[], Some(token), None);
        let answer = answer.await?;
        match answer.status {
            StatusCode::FORBIDDEN => Ok(false),
            _ => judge(answer, "the token").map(|_| true),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        token: Option<&Token>,
        body: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Response, Error> {
        let http = self.http.get_or_try_init(|| self.connect()).await?;
        let yes = SecretValue::new(b"true".to_vec());
        let mut headers = vec![(REQUEST, &yes)];
        headers.extend(self.namespace.as_ref().map(|n| (NAMESPACE, n)));
        headers.extend(token.map(|t| (TOKEN, &t.value)));
        let path = std::iter::once("v1").chain(path.split('/')).collect();
        http.send(Request {
            method,
            path,
            query: query.to_vec(),
            headers,
            body,
        })
        .await
    }

    /// Which server it is.
    pub(super) fn origin(&self) -> String {
        self.base.origin()
    }

    async fn connect(&self) -> Result<Http, Error> {
        let ca = match &self.ca {
            Some(ca) => Some(self.credentials.read(ca).await?),
            None => None,
        };
        Http::new(
            self.base.clone(),
            ca.as_ref().map(SecretValue::expose),
            self.deadline,
        )
    }
}

/// The body of a good answer. Bodies of others are never quoted: they may echo what was asked or stored.
/// Statuses: <https://openbao.org/api-docs/#http-status-codes>.
pub(super) fn judge(answer: Response, what: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let error = |kind, text: &str| Err(Error::new(kind, format!("{what}: {text}")));
    match answer.status.as_u16() {
        200..=299 => Ok(answer.body),
        400 => error(
            ErrorKind::Invalid,
            "the server finds the request malformed (400)",
        ),
        401 => error(
            ErrorKind::Unauthenticated,
            "the token is not accepted (401)",
        ),
        403 => {
            let e = Error::new(ErrorKind::Denied, format!("{what}: not allowed (403)"));
            Err(e.help("the token's policy must give `read` on this path"))
        }
        // A deleted version of KV 2 is a 404, too, with its metadata in the body.
        404 => error(
            ErrorKind::NotFound,
            "there is no such secret, or its current version is deleted",
        ),
        429 => Err(Error::new(
            ErrorKind::Throttled {
                after: answer.retry_after,
            },
            format!("{what}: too many requests (429)"),
        )),
        472 | 473 => error(
            ErrorKind::Unavailable,
            "the server is a standby that does not serve reads",
        ),
        503 if answer.retry_after.is_some() => Err(Error::new(
            ErrorKind::Throttled {
                after: answer.retry_after,
            },
            format!("{what}: the server wants to be left alone (503)"),
        )),
        503 => error(
            ErrorKind::Unavailable,
            "the server is sealed or in maintenance (503)",
        ),
        status => error(
            ErrorKind::Unavailable,
            &format!("the server answered with status {status}"),
        ),
    }
}

/// Reads an answer's JSON. The parser's message is dropped: it may quote a value.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|_| {
        Error::new(
            ErrorKind::Unavailable,
            format!("{what}: the answer is not what the API promises"),
        )
    })
}
