//! Every route against every role, without a key, with a bad one, and from a foreign project.

#![cfg(feature = "central")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod service_support;

use blindlink::service::routes::ROUTES;
use serde_json::{Value, json};
use service_support::*;
use std::collections::{BTreeMap, BTreeSet};

fn openapi(centre: &Centre) -> Value {
    request(centre.addr(), "GET", "/openapi.json", &[], b"").json()
}

/// Roles by route as the description says them; none for routes without a key.
fn declared(openapi: &Value) -> BTreeMap<(String, String), Option<BTreeSet<String>>> {
    let mut found = BTreeMap::new();
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let roles = operation.get("x-roles").map(|roles| {
                roles.as_array().unwrap().iter().map(|role| role.as_str().unwrap().to_owned()).collect()
            });
            found.insert((method.to_uppercase(), path.clone()), roles);
        }
    }
    found
}

#[test]
fn the_description_names_every_route_and_no_other() {
    let centre = Centre::start();
    let declared = declared(&openapi(&centre));
    let described: BTreeSet<(&str, &str)> = declared.keys().map(|(m, p)| (&**m, &**p)).collect();
    let served: BTreeSet<(&str, &str)> = ROUTES.iter().copied().collect();
    assert_eq!(described, served);
    assert_eq!(served.len(), ROUTES.len(), "a route stands twice");
    centre.running.stop().unwrap();
}

#[test]
fn every_reference_of_the_description_resolves() {
    let centre = Centre::start();
    let openapi = openapi(&centre);
    let text = openapi.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(openapi.pointer(pointer).is_some(), "{pointer}");
    }
    centre.running.stop().unwrap();
}

fn fill(path: &str, project: &str) -> String {
    path.replace("{project}", project)
        .replace("{agency}", "council")
        .replace("{dataset}", "ds-0")
        .replace("{run}", "run-0")
        .replace("{key}", "k0")
        .replace("{chunk}", "0")
        .replace("{table}", "overlap")
        .replace("{size}", "0")
        .replace("{entry}", "0")
        .replace("{approval}", "ap-0")
        .replace("{reference}", "LK-0000-0000-0001-01")
        .replace("{record}", "00000000000000000000000000000000")
        .replace("{referral}", "00")
        .replace("{apart}", "apart-0")
}

fn call(centre: &Centre, method: &str, path: &str, key: Option<&str>) -> Answer {
    let media = if path.contains("/chunks/") { ARROW } else { "application/json" };
    let bearer = key.map(bearer);
    let mut headers = vec![("content-type", media), USER];
    if let Some(bearer) = &bearer {
        headers.push(("authorization", bearer));
    }
    request(centre.addr(), method, path, &headers, b"{}")
}

#[test]
fn roles_are_allowed_exactly_where_the_description_says() {
    let centre = Centre::start();
    let all_roles = centre.project("p", &["council"]).remove(0);
    let foreign = centre.project("q", &["school"]).remove(0);
    let roles = ["submitter", "requester", "front_door", "reviewer", "approver", "auditor"];
    let mut keys: Vec<(String, bool, String)> =
        roles.iter().map(|role| ((*role).to_owned(), false, centre.key("p", "council", &[role]))).collect();
    let auditor = json!({"scope": {"kind": "centre"}, "roles": ["auditor"]});
    let auditor = centre.send(&centre.operator, "POST", "/v1/keys", &auditor).json();
    keys.push(("auditor".to_owned(), true, auditor["token"].as_str().unwrap().to_owned()));
    keys.push(("operator".to_owned(), true, centre.operator.clone()));

    for ((method, path), roles) in declared(&openapi(&centre)) {
        let Some(roles) = roles else { continue };
        let at = fill(&path, "p");
        let unauthenticated = call(&centre, &method, &at, None);
        assert_eq!((unauthenticated.status, &*unauthenticated.code()), (401, "unauthenticated"), "{path}");
        assert_eq!(unauthenticated.header("www-authenticate").unwrap(), "bearer realm=\"blindlink\"");
        for bad in ["", "x", "k0.00", &format!("{}0", centre.operator), &centre.operator.replace('.', ":")] {
            let refused = call(&centre, &method, &at, Some(bad));
            assert_eq!(refused.body, unauthenticated.body, "{method} {path}");
        }
        let in_project = path.starts_with("/v1/projects/{project}");
        let open_to_agencies =
            in_project || path == "/v1/whoami" || path == "/v1/projects" && method == "GET";
        for (role, central, key) in &keys {
            // Revoking the key at hand would end the test.
            let answer = call(&centre, &method, &at, Some(key));
            let agency_only = ["submitter", "requester", "front_door", "reviewer"];
            let allowed = roles.contains(role) && (*central || open_to_agencies);
            let context = format!("{method} {path} as {role}, central {central}: {}", answer.text());
            if allowed {
                assert!(![401, 403].contains(&answer.status), "{context}");
                assert!(answer.status < 500, "{context}");
            } else {
                assert_eq!((answer.status, &*answer.code()), (403, "forbidden"), "{context}");
            }
            assert!(!(allowed && *central && agency_only.contains(&role.as_str())), "{context}");
        }
        if in_project {
            let unknown = call(&centre, &method, &fill(&path, "nowhere"), Some(&all_roles));
            assert_eq!((unknown.status, &*unknown.code()), (404, "not-found"));
            let other = call(&centre, &method, &at, Some(&foreign));
            assert_eq!((other.status, &other.body), (404, &unknown.body), "{method} {path} from outside");
            let same_shape =
                |answer: &Answer| answer.head.lines().filter(|l| !l.starts_with("date:")).count();
            assert_eq!(same_shape(&other), same_shape(&unknown));
        }
    }
    centre.running.stop().unwrap();
}

#[test]
fn what_is_malformed_is_refused_on_every_route_with_a_body() {
    let centre = Centre::start();
    let key = centre.project("p", &["council"]).remove(0);
    let operator = centre.operator.clone();
    let door = centre.key("p", "council", &["front_door"]);
    let routes = [
        ("POST", "/v1/keys", &operator),
        ("PUT", "/v1/agencies/council", &operator),
        ("POST", "/v1/projects", &operator),
        ("PUT", "/v1/projects/p/epoch", &operator),
        ("POST", "/v1/projects/p/datasets", &key),
        ("POST", "/v1/projects/p/lookups", &key),
        ("POST", "/v1/projects/p/erasures", &key),
        ("POST", "/v1/projects/p/held", &key),
        ("POST", "/v1/projects/p/withdrawal", &key),
        ("POST", "/v1/projects/p/closure", &operator),
        ("POST", "/v1/projects/p/break-glass", &key),
        ("PUT", "/v1/projects/p/broker", &operator),
        ("PUT", "/v1/projects/p/shields/00000000000000000000000000000000", &key),
        ("POST", "/v1/projects/p/referrals/00", &key),
        ("POST", "/v1/projects/p/reviews/LK-0000-0000-0001-01/decisions", &key),
        ("POST", "/v1/projects/p/apart", &key),
        ("POST", "/v1/projects/p/lookup-batches", &key),
        ("POST", "/v1/projects/p/decoys", &key),
        ("POST", "/v1/projects/p/front-door", &door),
        ("POST", "/v1/projects/p/second-looks/0", &key),
        ("PUT", "/v1/projects/p/agreement", &operator),
        ("POST", "/v1/projects/p/approvals", &key),
        ("POST", "/v1/projects/p/approvals/ap-0/approve", &key),
        ("POST", "/v1/projects/p/approvals/ap-0/refuse", &key),
        ("POST", "/v1/projects/p/approvals/ap-0/withdraw", &key),
        ("POST", "/v1/projects/p/ledger/checkpoint/0/cosignatures", &key),
    ];
    for (method, path, key) in routes {
        let send = |media: &str, body: &[u8]| {
            let headers = [("authorization", &*bearer(key)), ("content-type", media)];
            request(centre.addr(), method, path, &headers, body)
        };
        for bad in [&b""[..], b"{", b"[]", b"null", b"\xff\xfe", b"{\"surname\":\"Okonkwo\"}"] {
            let refused = send("application/json", bad);
            assert_eq!((refused.status, &*refused.code()), (400, "malformed"), "{path} {bad:?}");
            assert!(!refused.text().contains("Okonkwo"));
        }
        let deep = [b"{\"a\":".repeat(40_000), b"1".to_vec()].concat();
        let deep = send("application/json", &deep);
        assert_eq!((deep.status, &*deep.code()), (400, "malformed"), "{path} nested");
        assert_eq!(send("text/plain", b"{}").code(), "media-type");
        let large = vec![b' '; 9 << 20];
        assert_eq!(send("application/json", &large).code(), "body-too-large", "{path}");
        let lies = [
            ("authorization", &*bearer(key)),
            ("content-type", "application/json"),
            ("content-length", "99999999999"),
        ];
        assert_eq!(request(centre.addr(), method, path, &lies, b"").code(), "body-too-large", "{path}");
    }
    for query in ["limit=0", "limit=501", "limit=x", "cursor=%00", "surname=1", "limit=1&limit=2"] {
        let refused = centre.get(&key, &format!("/v1/projects/p/links?{query}"));
        assert_eq!((refused.status, &*refused.code()), (400, "malformed"), "{query}");
    }
    for path in ["/v1/projects/P", "/v1/projects/p%2F..", "/v1/nothing", "/v1/projects/p/runs/%20"] {
        assert_eq!(centre.get(&key, path).code(), "not-found", "{path}");
    }
    assert_eq!(centre.get(&key, "/v1/projects/p/links/LK-0000-0000-0001-02").code(), "malformed");
    centre.running.stop().unwrap();
}

#[test]
fn keys_expire_and_are_revoked() {
    let centre = Centre::start();
    let key = centre.project("p", &["council"]).remove(0);
    let scope = json!({"kind": "agency", "agency": "council", "project": "p"});
    let old = json!({"scope": scope, "roles": ["requester"], "expires": "2020-01-01T00:00:00Z"});
    let old = centre.send(&centre.operator, "POST", "/v1/keys", &old).json();
    assert_eq!(centre.get(old["token"].as_str().unwrap(), "/v1/whoami").code(), "unauthenticated");
    assert_eq!(centre.get(&key, "/v1/whoami").json()["scope"], scope);
    let id = key.split('.').next().unwrap();
    let revoked = centre.send(&centre.operator, "DELETE", &format!("/v1/keys/{id}"), &json!({}));
    assert!(revoked.json()["revoked"].is_string());
    assert_eq!(centre.get(&key, "/v1/whoami").code(), "unauthenticated");
    for (scope, roles) in [
        (json!({"kind": "centre"}), json!(["submitter"])),
        (scope.clone(), json!(["operator"])),
        (scope.clone(), json!([])),
        (json!({"kind": "agency", "agency": "nobody", "project": "p"}), json!(["submitter"])),
    ] {
        let refused =
            centre.send(&centre.operator, "POST", "/v1/keys", &json!({"scope": scope, "roles": roles}));
        assert_eq!(refused.code(), "rule");
    }
    let keys = centre.get(&centre.operator, "/v1/keys").text();
    let secret = key.split('.').nth(1).unwrap();
    let digest = blake3::hash(&hex(secret)).to_string();
    assert!(!keys.contains(secret) && !keys.contains(&digest));
    centre.running.stop().unwrap();
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_console_signs_in_by_cookie_and_shows_no_script() {
    let centre = Centre::start();
    centre.project("p", &["council"]);
    let form = ("content-type", "application/x-www-form-urlencoded");
    let get = |path: &str, cookie: &str| request(centre.addr(), "GET", path, &[("cookie", cookie)], b"");
    assert_eq!(get("/console", "").header("location").unwrap(), "/console/sign-in");
    assert_eq!(get("/console/projects/p", "blindlink_session=00").status, 303);
    let requester = centre.key("p", "council", &["requester"]);
    for wrong in [requester.as_str(), "nonsense"] {
        let body = format!("key={wrong}");
        let refused = request(centre.addr(), "POST", "/console/sign-in", &[form], body.as_bytes());
        assert_eq!(refused.status, 401);
        assert!(refused.text().contains("There is a problem") && !refused.text().contains(wrong));
    }
    let body = format!("key={}", centre.operator);
    let cross = [form, ("sec-fetch-site", "cross-site")];
    assert_eq!(request(centre.addr(), "POST", "/console/sign-in", &cross, body.as_bytes()).status, 400);
    let signed = request(centre.addr(), "POST", "/console/sign-in", &[form], body.as_bytes());
    assert_eq!(signed.status, 303);
    let cookie = signed.header("set-cookie").unwrap();
    assert!(cookie.contains("httponly") && cookie.contains("samesite=strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    for path in ["/console", "/console/projects/p"] {
        let page = get(path, &cookie);
        assert_eq!(page.status, 200);
        assert!(page.text().contains("<html lang=\"en-GB\">") && !page.text().contains("<script"));
        assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    }
    assert_eq!(get("/console/projects/nowhere", &cookie).status, 404);
    request(centre.addr(), "POST", "/console/sign-out", &[("cookie", &cookie), form], b"");
    assert_eq!(get("/console", &cookie).status, 303);
    assert!(get("/console/style.css", "").text().contains("font"));
    centre.running.stop().unwrap();
}

#[test]
fn health_readiness_and_figures() {
    let centre = Centre::start();
    let open = |path: &str| request(centre.addr(), "GET", path, &[], b"");
    assert_eq!((open("/healthz").text(), open("/readyz").text()), ("alive\n".into(), "ready\n".into()));
    centre.get(&centre.operator, "/v1/projects/some-name-or-other");
    let figures = centre.get(&centre.operator, "/metrics").text();
    assert!(figures.contains("route=\"/v1/projects/{project}\",status=\"404\""), "{figures}");
    assert!(!figures.contains("some-name-or-other"));
    let tag = centre.get(&centre.operator, "/v1/whoami").header("etag").unwrap();
    let headers = [("authorization", &*bearer(&centre.operator)), ("if-none-match", &*tag)];
    assert_eq!(request(centre.addr(), "GET", "/v1/whoami", &headers, b"").status, 304);
    centre.running.stop().unwrap();
}
