//! The only module that builds an HTTP client: what every backend gets, so that none forgets it.
//!
//! # Guarantees
//! - https only, except to this machine's own loopback.
//! - One deadline for the whole exchange, a bound on the body.
//! - A redirect is followed within the same origin only; no header ever goes to another host.
//! - A server that wants to be left alone is asked nothing before that time, by nobody who shares the client.
//! - No proxy of the environment stands before this machine's own loopback.
//! - No error holds a header, a body, or a query.
#![expect(
    clippy::disallowed_methods,
    reason = "the one place that builds a client"
)]

use std::net::IpAddr;
use std::time::Duration;

use locket_provider::{Error, ErrorKind, SecretValue};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::hold::{Hold, retry_after};

/// Largest body in bytes: a value of 1 MiB, every byte of it escaped in JSON (`\u0000`), and some more.
const MAX_BODY: usize = 8 << 20;
/// Redirects that are followed within one origin.
const MAX_REDIRECTS: usize = 2;
/// Where distributions keep the CAs that their administrator trusts.
const BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// A backend's base address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base(Url);

impl Base {
    /// Scheme, host and port: which server it is.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Reads a base URL; a path prefix is kept.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when it is no URL, is not https (loopback excepted), or has userinfo, query or fragment.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid =
            |why: &str| Error::new(ErrorKind::Invalid, format!("the url of the source {why}"));
        let url = Url::parse(text).map_err(|_| invalid("is not a url"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                invalid("has a user or password in it").help("credentials belong into `auth`")
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("has a query or fragment"));
        }
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if is_loopback(&url) => Ok(Self(url)),
            "http" => {
                Err(invalid("is not https").help("plain http is for loopback addresses only"))
            }
            _ => Err(invalid("is not https")),
        }
    }

    /// The URL of a path, each segment percent-encoded.
    fn join<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Result<Url, Error> {
        let mut url = self.0.clone();
        let mut all = segments.into_iter().peekable();
        let invalid = || {
            Error::new(
                ErrorKind::Invalid,
                "the path has an empty segment, or one of dots only",
            )
        };
        if all.peek().is_none() {
            return Err(invalid());
        }
        {
            let mut path = url.path_segments_mut().map_err(|()| invalid())?;
            path.pop_if_empty();
            for segment in all {
                // The url crate drops these in silence, and the path would be another one.
                if matches!(segment, "" | "." | "..") {
                    return Err(invalid());
                }
                path.push(segment);
            }
        }
        Ok(url)
    }

    /// Host and port, for messages.
    fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let ip: Option<IpAddr> = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok();
    host == "localhost" || ip.is_some_and(|ip| ip.is_loopback())
}

/// A client of one backend.
pub struct Http {
    client: reqwest::Client,
    base: Base,
    deadline: Duration,
    hold: Hold,
}

/// One request. Header values are secret.
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// Path segments after the base.
    pub path: Vec<&'a str>,
    /// Query pairs; not secret.
    pub query: Vec<(&'a str, &'a str)>,
    /// Headers.
    pub headers: Vec<(HeaderName, &'a SecretValue)>,
    /// A JSON body.
    pub body: Option<Zeroizing<Vec<u8>>>,
}

/// An answer that came whole, whatever its status.
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// `Retry-After`; a date is counted from the answer's own `Date`, so that no clock of ours has a say.
    pub retry_after: Option<Duration>,
    /// At most 8 MiB.
    pub body: Zeroizing<Vec<u8>>,
}

impl Http {
    /// A client that trusts `ca` (PEM, one or more certificates) alone, or else the built-in and the system's CAs.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a CA file without a certificate.
    pub fn new(base: Base, ca: Option<&[u8]>, deadline: Duration) -> Result<Self, Error> {
        let roots = roots(ca)?;
        let invalid = |_| Error::new(ErrorKind::Invalid, "TLS cannot be set up");
        let tls =
            ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
                .with_safe_default_protocol_versions()
                .map_err(invalid)?
                .with_root_certificates(roots)
                .with_no_client_auth();
        let mut client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("locket/", env!("CARGO_PKG_VERSION")));
        // What is plain http to loopback would be plain http, token and all, to whatever HTTP_PROXY names.
        if is_loopback(&base.0) {
            client = client.no_proxy();
        }
        let client = client
            .build()
            .map_err(|_| Error::new(ErrorKind::Invalid, "an HTTP client cannot be made"))?;
        Ok(Self {
            client,
            base,
            deadline,
            hold: Hold::default(),
        })
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// [`ErrorKind::Throttled`], with nothing sent, while the server wants to be left alone;
    /// [`ErrorKind::Unavailable`] when there is no whole answer within the deadline, it is too large, or it leads to another host;
    /// [`ErrorKind::Invalid`] when the path makes no URL.
    pub async fn send(&self, request: Request<'_>) -> Result<Response, Error> {
        if let Some(after) = self.hold.left(Instant::now()) {
            let kind = ErrorKind::Throttled { after: Some(after) };
            let wish = format!("{} wants to be left alone", self.base.host());
            return Err(Error::new(kind, wish));
        }
        match tokio::time::timeout(self.deadline, self.follow(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unavailable(&format!(
                "gave no answer within {} ms",
                self.deadline.as_millis()
            ))),
        }
    }

    async fn follow(&self, request: Request<'_>) -> Result<Response, Error> {
        let mut url = self.base.join(request.path)?;
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(request.query);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers {
            let mut value = HeaderValue::from_bytes(value.expose()).map_err(|_| {
                Error::new(
                    ErrorKind::Unauthenticated,
                    "the credential has characters that no header can hold",
                )
            })?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        for _ in 0..=MAX_REDIRECTS {
            let mut it = self
                .client
                .request(request.method.clone(), url.clone())
                .headers(headers.clone());
            if let Some(body) = &request.body {
                it = it
                    .header("content-type", "application/json")
                    .body(body.to_vec());
            }
            let answer = it.send().await.map_err(|e| self.explain(&e))?;
            if !answer.status().is_redirection() {
                return self.read(answer).await;
            }
            let to = answer
                .headers()
                .get(LOCATION)
                .and_then(|l| l.to_str().ok())
                .and_then(|l| url.join(l).ok());
            match to {
                Some(to) if to.origin() == self.base.0.origin() => url = to,
                _ => {
                    let e = self.unavailable("sends us to another host, which is not configured");
                    return Err(e.help("use the address of the active node, or of a load balancer before all of them"));
                }
            }
        }
        Err(self.unavailable("sends us round in circles"))
    }

    async fn read(&self, mut answer: reqwest::Response) -> Result<Response, Error> {
        let status = answer.status();
        let retry_after = retry_after(answer.headers());
        let is_wish = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        // Obeyed from here on, also if the body never comes.
        if let Some(after) = retry_after.filter(|_| is_wish) {
            self.hold.obey(after, Instant::now());
        }
        let announced = answer
            .content_length()
            .and_then(|l| usize::try_from(l).ok())
            .unwrap_or(0);
        // What is announced is reserved at once, within the bound: a buffer that grows leaves copies of values behind.
        let mut body = Zeroizing::new(Vec::with_capacity(announced.min(MAX_BODY)));
        while let Some(chunk) = answer.chunk().await.map_err(|e| self.explain(&e))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(self.unavailable("sends an answer without an end"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response {
            status,
            retry_after,
            body,
        })
    }

    fn unavailable(&self, what: &str) -> Error {
        Error::new(
            ErrorKind::Unavailable,
            format!("{} {what}", self.base.host()),
        )
    }

    /// The innermost cause says what happened; what is around it repeats the URL.
    fn explain(&self, e: &reqwest::Error) -> Error {
        let mut cause: &dyn std::error::Error = e;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let what = if e.is_connect() {
            "cannot be reached"
        } else {
            "broke off"
        };
        self.unavailable(&format!("{what}: {cause}"))
    }
}

fn roots(ca: Option<&[u8]>) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    if let Some(pem) = ca {
        let (good, _) = roots
            .add_parsable_certificates(CertificateDer::pem_slice_iter(pem).filter_map(Result::ok));
        if good == 0 {
            return Err(Error::new(
                ErrorKind::Invalid,
                "the `ca` of the source holds no PEM certificate",
            ));
        }
        return Ok(roots);
    }
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    // What the administrator trusts comes on top. A host without a bundle, or with an odd entry in it, is no error.
    if let Some(pem) = BUNDLES.iter().find_map(|path| std::fs::read(path).ok()) {
        roots
            .add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_https_or_loopback_and_holds_no_secret() {
        for good in [
            "https://bao.internal:8200",
            "https://h/prefix/",
            "http://127.0.0.1:8200",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(Base::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "bao",
            "http://bao.internal",
            "http://127.0.0.1.evil.example",
            "http://169.254.169.254/",
            "https://u:p@h",
            "https://u@h",
            "https://h?x=canary",
            "https://h#f",
            "unix:/x",
        ] {
            let e = Base::parse(bad).unwrap_err();
            assert_eq!(e.kind, ErrorKind::Invalid, "{bad}");
            assert!(!e.to_string().contains("canary"));
        }
    }

    #[test]
    fn segments_stay_segments() {
        let base = Base::parse("https://h/prefix/").unwrap();
        let join = |path: &str| base.join(path.split('/')).map(|u| u.to_string());
        assert_eq!(
            join("v1/a b/ü?x#y%2e").unwrap(),
            "https://h/prefix/v1/a%20b/%C3%BC%3Fx%23y%252e"
        );
        for bad in ["", "a//b", "a/../b", "./a", "a/"] {
            assert!(join(bad).is_err(), "{bad}");
        }
    }
}
