//! Every way in. `openapi.json` says the same to machines; a test compares the two.

use super::{console, handlers as h};
use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};

macro_rules! routes {
    ($($method:ident $path:literal => $handler:path;)+) => {
        /// Method and path of every route.
        pub const ROUTES: &[(&str, &str)] = &[$((stringify!($method), $path)),+];

        /// Adds every route.
        pub(super) fn configure(config: &mut ServiceConfig) {
            $(config.route($path, web::method(Method::$method).to($handler));)+
            config.default_service(web::to(h::not_found));
        }
    };
}

routes! {
    GET "/healthz" => h::health::health;
    GET "/readyz" => h::health::ready;
    GET "/metrics" => h::health::metrics;
    GET "/openapi.json" => h::openapi::openapi;
    GET "/v1/whoami" => h::keys::whoami;
    GET "/v1/keys" => h::keys::list;
    POST "/v1/keys" => h::keys::issue;
    DELETE "/v1/keys/{key}" => h::keys::revoke;
    GET "/v1/agencies" => h::agencies::list;
    GET "/v1/agencies/{agency}" => h::agencies::read;
    PUT "/v1/agencies/{agency}" => h::agencies::put;
    GET "/v1/events" => h::events::centre_events;
    GET "/v1/alerts" => h::alerts::list;
    GET "/v1/projects" => h::projects::list;
    POST "/v1/projects" => h::projects::create;
    GET "/v1/projects/{project}" => h::projects::read;
    PUT "/v1/projects/{project}/epoch" => h::projects::begin_epoch;
    GET "/v1/projects/{project}/agencies" => h::agencies::parties;
    PUT "/v1/projects/{project}/agencies/{agency}" => h::agencies::join;
    GET "/v1/projects/{project}/datasets" => h::datasets::list;
    POST "/v1/projects/{project}/datasets" => h::datasets::create;
    GET "/v1/projects/{project}/datasets/{dataset}" => h::datasets::read;
    DELETE "/v1/projects/{project}/datasets/{dataset}" => h::datasets::abandon;
    PUT "/v1/projects/{project}/datasets/{dataset}/chunks/{chunk}" => h::datasets::put_chunk;
    POST "/v1/projects/{project}/datasets/{dataset}/seal" => h::datasets::seal;
    GET "/v1/projects/{project}/runs" => h::runs::list;
    POST "/v1/projects/{project}/runs" => h::runs::start;
    GET "/v1/projects/{project}/runs/{run}" => h::runs::read;
    POST "/v1/projects/{project}/runs/{run}/cancel" => h::runs::cancel;
    GET "/v1/projects/{project}/links" => h::links::list;
    GET "/v1/projects/{project}/links/{reference}" => h::links::read;
    POST "/v1/projects/{project}/lookups" => h::lookups::ask;
    POST "/v1/projects/{project}/lookup-batches" => h::lookups::ask_many;
    POST "/v1/projects/{project}/front-door" => h::front_door::ask;
    GET "/v1/projects/{project}/second-looks" => h::front_door::second_looks;
    POST "/v1/projects/{project}/second-looks/{entry}" => h::front_door::look;
    GET "/v1/projects/{project}/agreement" => h::approvals::agreement;
    PUT "/v1/projects/{project}/agreement" => h::approvals::narrow;
    GET "/v1/projects/{project}/approvals" => h::approvals::list;
    POST "/v1/projects/{project}/approvals" => h::approvals::propose;
    GET "/v1/projects/{project}/approvals/{approval}" => h::approvals::read;
    POST "/v1/projects/{project}/approvals/{approval}/approve" => h::approvals::approve;
    POST "/v1/projects/{project}/approvals/{approval}/refuse" => h::approvals::refuse;
    POST "/v1/projects/{project}/approvals/{approval}/withdraw" => h::approvals::withdraw;
    POST "/v1/projects/{project}/approvals/{approval}/carry-out" => h::approvals::carry_out;
    GET "/v1/projects/{project}/asked" => h::ledger::asked;
    GET "/v1/projects/{project}/ledger/checkpoint" => h::ledger::checkpoint;
    POST "/v1/projects/{project}/ledger/checkpoint/{size}/cosignatures" => h::ledger::cosign;
    GET "/v1/projects/{project}/ledger/inclusion" => h::ledger::inclusion;
    GET "/v1/projects/{project}/ledger/consistency" => h::ledger::consistency;
    GET "/v1/projects/{project}/ledger/export" => h::ledger::export;
    POST "/v1/projects/{project}/decoys" => h::alerts::plant;
    POST "/v1/projects/{project}/break-glass" => h::shields::break_glass;
    PUT "/v1/projects/{project}/broker" => h::projects::set_broker;
    GET "/v1/projects/{project}/shields" => h::shields::list;
    PUT "/v1/projects/{project}/shields/{record}" => h::shields::put;
    GET "/v1/projects/{project}/referrals" => h::referrals::list;
    POST "/v1/projects/{project}/referrals/{referral}" => h::referrals::decide;
    GET "/v1/projects/{project}/notices" => h::shields::notices;
    GET "/v1/projects/{project}/reviews" => h::reviews::list;
    GET "/v1/projects/{project}/reviews/{reference}" => h::reviews::read;
    POST "/v1/projects/{project}/reviews/{reference}/decisions" => h::reviews::decide;
    GET "/v1/projects/{project}/backlog" => h::reviews::backlog;
    GET "/v1/projects/{project}/apart" => h::reviews::apart_sets;
    POST "/v1/projects/{project}/apart" => h::reviews::keep_apart;
    DELETE "/v1/projects/{project}/apart/{apart}" => h::reviews::lift_apart;
    GET "/v1/projects/{project}/overlap" => h::overlap::read;
    GET "/v1/projects/{project}/tables/{table}" => h::tables::read;
    POST "/v1/projects/{project}/erasures" => h::rights::erase;
    POST "/v1/projects/{project}/held" => h::rights::held;
    POST "/v1/projects/{project}/withdrawal" => h::rights::withdraw;
    POST "/v1/projects/{project}/closure" => h::rights::close;
    POST "/v1/sweeps" => h::rights::sweep;
    GET "/v1/projects/{project}/events" => h::events::project;
    GET "/console" => console::pages::home;
    GET "/console/sign-in" => console::sign::form;
    POST "/console/sign-in" => console::sign::sign_in;
    POST "/console/sign-out" => console::sign::sign_out;
    GET "/console/style.css" => console::pages::style;
    GET "/console/reviews" => console::reviews::list;
    GET "/console/reviews/{reference}" => console::reviews::read;
    POST "/console/reviews/{reference}" => console::reviews::decide;
    GET "/console/projects/{project}" => console::pages::project;
    GET "/console/projects/{project}/tables/{table}" => console::tables::show;
}
