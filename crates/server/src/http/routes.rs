//! Which paths are answered, by one name each: in the router, in the log and in the counters.

/// Names the server.
pub(super) const BANNER: &str = "/";
pub(super) const ADD_VERSION: &str = "/v1/client/add-version/{parent}";
pub(super) const GET_CHILD_VERSION: &str = "/v1/client/get-child-version/{parent}";
pub(super) const ADD_SNAPSHOT: &str = "/v1/client/add-snapshot/{version}";
pub(super) const SNAPSHOT: &str = "/v1/client/snapshot";
pub(super) const HEAD: &str = "/v1/tandem/head";
pub(super) const CHILDREN: &str = "/v1/tandem/children/{parent}";
pub(super) const ACCOUNT: &str = "/v1/tandem/account";
pub(super) const HEALTHZ: &str = "/healthz";
pub(super) const READYZ: &str = "/readyz";
pub(super) const METRICS: &str = "/metrics";

/// Work: a limited number of these is done at once. They stand behind the server's prefix.
const CALLS: &[&str] =
    &[GET_CHILD_VERSION, ADD_VERSION, HEAD, CHILDREN, SNAPSHOT, ADD_SNAPSHOT, ACCOUNT, BANNER];

/// What supervisors ask, whatever else goes on. They need not know of a prefix.
const LOOKS: &[&str] = &[HEALTHZ, READYZ];

/// A path that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route {
    /// Its template.
    pub(super) name: &'static str,
    /// It waits for its turn.
    pub(super) is_call: bool,
}

/// The paths of one listener.
#[derive(Debug, Clone)]
pub(super) struct Routes {
    /// A path before all others, or nothing.
    pub(super) prefix: String,
    /// The calls of clients are answered.
    pub(super) has_calls: bool,
    /// The counters are shown.
    pub(super) has_metrics: bool,
}

impl Routes {
    /// What a path asks for. None: there is no such path.
    pub(super) fn find(&self, path: &str) -> Option<Route> {
        let looks = LOOKS.iter().chain(self.has_metrics.then_some(&METRICS));
        let look = |path: &str| looks.clone().copied().find(|name| *name == path);
        let found = |name, is_call| Route { name, is_call };
        let behind = path.strip_prefix(&self.prefix).filter(|_| self.has_calls);
        let behind = behind.map(|path| if path.is_empty() { BANNER } else { path });
        let call = behind.and_then(|path| CALLS.iter().copied().find(|name| fits(name, path)));
        call.map(|name| found(name, true))
            .or_else(|| look(path).or_else(|| look(behind?)).map(|name| found(name, false)))
    }
}

/// Whether a path is one of this template: its last part may be whatever is there.
fn fits(template: &str, path: &str) -> bool {
    match template.split_once('{') {
        Some((before, _)) => {
            path.strip_prefix(before).is_some_and(|last| !last.is_empty() && !last.contains('/'))
        }
        None => template == path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_behind_the_prefix_and_what_supervisors_ask_before_it_too() {
        let all =
            |prefix: &str| Routes { prefix: prefix.to_owned(), has_calls: true, has_metrics: true };
        let apart = Routes { has_metrics: false, ..all("") };
        let operators = Routes { has_calls: false, ..all("") };
        for (routes, path, name) in [
            (&all(""), "/", Some(BANNER)),
            (&all(""), "/v1/client/snapshot", Some(SNAPSHOT)),
            (&all(""), "/v1/client/snapshot/", None),
            (&all(""), "/v1/client/add-version/x", Some(ADD_VERSION)),
            (&all(""), "/v1/client/add-version/", None),
            (&all(""), "/v1/client/add-version/x/y", None),
            (&all(""), "/v1/client/add-version", None),
            (&all(""), "", Some(BANNER)),
            (&all(""), "/healthz", Some(HEALTHZ)),
            (&all(""), "/metrics", Some(METRICS)),
            (&all("/sync"), "/sync", Some(BANNER)),
            (&all("/sync"), "/sync/", Some(BANNER)),
            (&all("/sync"), "/syncv1/client/snapshot", None),
            (&all("/sync"), "/sync/v1/client/snapshot", Some(SNAPSHOT)),
            (&all("/sync"), "/v1/client/snapshot", None),
            (&all("/sync"), "/readyz", Some(READYZ)),
            (&all("/sync"), "/sync/readyz", Some(READYZ)),
            (&all("/sync"), "/", None),
            (&apart, "/metrics", None),
            (&operators, "/metrics", Some(METRICS)),
            (&operators, "/", None),
            (&operators, "/v1/client/snapshot", None),
        ] {
            let found = routes.find(path);
            assert_eq!(found.map(|route| route.name), name, "{path} of {routes:?}");
            assert_eq!(
                found.is_some_and(|route| route.is_call),
                name.is_some_and(|name| CALLS.contains(&name)),
                "{path}"
            );
        }
    }
}
