use axum::http::{HeaderMap, header};

/// The access token of a session in a browser.
pub const ACCESS_COOKIE: &str = "__Host-slipway_access";
/// The refresh token of a session in a browser.
pub const REFRESH_COOKIE: &str = "__Host-slipway_refresh";
/// What binds a sign-in that goes through a mail or somebody else's site to the browser that began it.
pub const SIGN_IN_COOKIE: &str = "__Host-slipway_sign_in";

/// Every cookie of ours. Their prefix keeps other hosts, and pages without TLS, from setting them.
pub const COOKIES: [&str; 3] = [ACCESS_COOKIE, REFRESH_COOKIE, SIGN_IN_COOKIE];

/// The value of a cookie; `None` too if it was sent more than once, with values that differ.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = cookies(headers).filter(|(known, _)| *known == name).map(|(_, value)| value);
    let first = values.next().filter(|value| !value.is_empty())?;
    values.all(|other| other == first).then_some(first)
}

/// Whether the request carries any cookie of ours.
pub fn has_cookies(headers: &HeaderMap) -> bool {
    cookies(headers).any(|(name, _)| COOKIES.contains(&name))
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('='))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::{ACCESS_COOKIE, cookie, has_cookies};

    fn headers(cookies: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append("cookie", cookie.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_cookie_is_found_among_others_and_not_by_a_part_of_its_name() {
        let sent = headers(&["a=b; __Host-slipway_access=x.y.z", "__Host-slipway_accessory=1"]);
        assert_eq!(cookie(&sent, ACCESS_COOKIE), Some("x.y.z"));
        assert!(has_cookies(&sent));
        let none = headers(&["slipway_access=1; x__Host-slipway_access=2", "nonsense", ";;="]);
        assert_eq!(cookie(&none, ACCESS_COOKIE), None);
        assert!(!has_cookies(&none));
    }

    #[test]
    fn a_cookie_with_two_values_has_none() {
        let twice = headers(&["__Host-slipway_access=x; __Host-slipway_access=y"]);
        assert_eq!(cookie(&twice, ACCESS_COOKIE), None);
        let empty = headers(&["__Host-slipway_access="]);
        assert_eq!(cookie(&empty, ACCESS_COOKIE), None);
    }
}
