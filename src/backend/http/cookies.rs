//! Cookies of one connection to a backend: a load balancer that is sticky by cookie must meet its own again.
//!
//! A jar belongs to a connection, as a session does, so no cookie reaches another backend or another principal's
//! connection. All requests of a connection go to one host, so the domain of a cookie says little more than whether
//! the server may set it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use url::Url;

/// Bounds of a jar; the oldest cookies make room.
const MAX_COOKIES: usize = 32;
const MAX_COOKIE_BYTES: usize = 4096;
const MAX_JAR_BYTES: usize = 16 * 1024;

/// The cookies of one connection.
#[derive(Default)]
pub(super) struct CookieJar {
    has_some: AtomicBool,
    /// The oldest come first.
    cookies: Mutex<Vec<Cookie>>,
}

/// A cookie (RFC 6265).
struct Cookie {
    name: String,
    value: String,
    path: String,
    is_secure: bool,
    expires: Option<SystemTime>,
}

impl CookieJar {
    /// Adds the cookies that belong to a request for `url`, behind those an operator configured.
    pub(super) fn add_to(&self, headers: &mut HeaderMap, url: &Url) {
        if !self.has_some.load(Relaxed) {
            return;
        }
        let Some(text) = self.text(url, SystemTime::now()) else { return };
        let configured = headers.get(COOKIE).and_then(|value| value.to_str().ok());
        let joined = configured.map(|first| format!("{first}; {text}"));
        if let Ok(mut value) = HeaderValue::try_from(joined.unwrap_or(text)) {
            value.set_sensitive(true);
            headers.insert(COOKIE, value);
        }
    }

    fn text(&self, url: &Url, now: SystemTime) -> Option<String> {
        let mut cookies = self.cookies.lock();
        cookies.retain(|cookie| cookie.is_alive(now));
        let mut sent: Vec<_> = cookies.iter().filter(|cookie| cookie.belongs_to(url)).collect();
        // The more specific path comes first (section 5.4).
        sent.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<_> = sent.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// Takes the cookies that the response to a request for `url` sets.
    pub(super) fn take(&self, headers: &HeaderMap, url: &Url) {
        if headers.contains_key(SET_COOKIE) {
            self.take_each(headers, url, SystemTime::now());
        }
    }

    fn take_each(&self, headers: &HeaderMap, url: &Url, now: SystemTime) {
        let mut cookies = self.cookies.lock();
        for text in headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            let Some(cookie) = Cookie::parse(text, url, now) else { continue };
            cookies.retain(|old| (&old.name, &old.path) != (&cookie.name, &cookie.path));
            if cookie.is_alive(now) {
                cookies.push(cookie);
            }
            while cookies.len() > MAX_COOKIES
                || cookies.iter().map(Cookie::len).sum::<usize>() > MAX_JAR_BYTES
            {
                cookies.remove(0);
            }
        }
        self.has_some.store(!cookies.is_empty(), Relaxed);
    }

    /// Drops them all: a new session begins as a new client does.
    pub(super) fn clear(&self) {
        if self.has_some.swap(false, Relaxed) {
            self.cookies.lock().clear();
        }
    }
}

impl std::fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CookieJar")
    }
}

impl Cookie {
    /// Reads one `Set-Cookie`; `None` if it is none, too long, or for another host.
    fn parse(text: &str, url: &Url, now: SystemTime) -> Option<Self> {
        let mut parts = text.split(';');
        let (name, value) = parts.next()?.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || name.len() + value.len() > MAX_COOKIE_BYTES {
            return None;
        }
        let mut cookie = Self {
            name: name.to_owned(),
            value: value.to_owned(),
            path: default_path(url.path()).to_owned(),
            is_secure: false,
            expires: None,
        };
        let mut max_age = None;
        for part in parts {
            let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim();
            match attribute.trim().to_ascii_lowercase().as_str() {
                "path" if value.starts_with('/') && value.len() <= MAX_COOKIE_BYTES => {
                    cookie.path = value.to_owned();
                }
                "domain" if !is_domain_of(value, url) => return None,
                "secure" => cookie.is_secure = true,
                "max-age" => max_age = value.parse::<i64>().ok().or(max_age),
                "expires" => cookie.expires = httpdate::parse_http_date(value).ok(),
                _ => {}
            }
        }
        if let Some(seconds) = max_age {
            let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
            cookie.expires = now.checked_add(seconds);
        }
        Some(cookie)
    }

    fn len(&self) -> usize {
        self.name.len() + self.value.len() + self.path.len()
    }

    fn is_alive(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|expires| expires > now)
    }

    fn belongs_to(&self, url: &Url) -> bool {
        let rest = url.path().strip_prefix(self.path.as_str());
        let is_below =
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || self.path.ends_with('/'));
        is_below && (!self.is_secure || url.scheme() == "https")
    }
}

/// The path of a cookie that names none (section 5.1.4).
fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(end) => &path[..end],
    }
}

/// Whether the host of `url` lies in `domain`.
fn is_domain_of(domain: &str, url: &Url) -> bool {
    let domain = domain.trim_start_matches('.').to_ascii_lowercase();
    let host = url.host_str().unwrap_or_default();
    let above = host.strip_suffix(domain.as_str());
    domain.is_empty() || above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn jar(set: &[&str]) -> CookieJar {
        let jar = CookieJar::default();
        set_at(&jar, set);
        jar
    }

    fn set_at(jar: &CookieJar, set: &[&str]) {
        let mut headers = HeaderMap::new();
        for value in set {
            headers.append(SET_COOKIE, value.parse().unwrap());
        }
        jar.take(&headers, &url("http://lb.example.com/api/mcp"));
    }

    fn sent(jar: &CookieJar, to: &str) -> String {
        let mut headers = HeaderMap::new();
        jar.add_to(&mut headers, &url(to));
        headers.get(COOKIE).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn a_cookie_comes_back_to_the_paths_it_is_for() {
        let jar =
            jar(&["LB=1; Path=/; HttpOnly; SameSite=Lax", "a=b=c", "deep=1; path=/api/mcp/x", "s=1; Secure"]);
        assert_eq!(sent(&jar, "http://lb.example.com/api/mcp/"), "a=b=c; LB=1");
        assert_eq!(sent(&jar, "http://lb.example.com/apiary"), "LB=1");
        assert_eq!(sent(&jar, "http://lb.example.com/api/mcp/x/y"), "deep=1; a=b=c; LB=1");
        assert_eq!(sent(&jar, "https://lb.example.com/api/mcp"), "a=b=c; s=1; LB=1");
    }

    #[test]
    fn a_cookie_is_replaced_expires_and_is_not_set_for_other_hosts() {
        let jar = jar(&["n=1; Path=/", "gone=1; Max-Age=0", "late=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT"]);
        set_at(&jar, &["n=2; Path=/; Max-Age=60; Expires=Sun, 06 Nov 1994 08:49:37 GMT"]);
        set_at(
            &jar,
            &[
                "foreign=1; Domain=evil.example",
                "near=1; Domain=b.example.com",
                "own=1; Domain=.Example.com; Path=/",
            ],
        );
        assert_eq!(sent(&jar, "http://lb.example.com/api/mcp"), "n=2; own=1");
        set_at(&jar, &["n=; Path=/; Max-Age=-1", "=x", "nonsense"]);
        assert_eq!(sent(&jar, "http://lb.example.com/"), "own=1");
        jar.clear();
        assert_eq!(sent(&jar, "http://lb.example.com/"), "");
    }

    #[test]
    fn a_jar_is_bounded_in_number_and_size() {
        let jar = CookieJar::default();
        for n in 0..100 {
            set_at(&jar, &[&format!("n{n}=1; Path=/")]);
        }
        assert_eq!(sent(&jar, "http://lb.example.com/").split("; ").count(), MAX_COOKIES);
        set_at(&jar, &[&format!("big={}; Path=/", "x".repeat(MAX_COOKIE_BYTES))]);
        assert!(!sent(&jar, "http://lb.example.com/").contains("big="));
        for n in 0..10 {
            set_at(&jar, &[&format!("big{n}={}; Path=/", "x".repeat(3000))]);
        }
        assert!(sent(&jar, "http://lb.example.com/").len() <= MAX_JAR_BYTES + 100);
    }

    #[test]
    fn what_an_operator_configured_stays() {
        let jar = jar(&["LB=1; Path=/"]);
        let mut headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static("key=1"))]);
        jar.add_to(&mut headers, &url("http://lb.example.com/"));
        assert_eq!(headers[COOKIE], "key=1; LB=1");
    }
}
