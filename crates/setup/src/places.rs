//! Where clients keep what they fetched, and what they are told in each of a cache's lives.

use std::collections::BTreeMap;

use crate::kind::Kind;

/// Where a cache is inside.
pub(crate) const CACHE: &str = "/cache";
/// Where a copy of Node's part of it is: npm writes to its cache even to read from it.
pub(crate) const NODE_COPY: &str = "/booty/node";
/// Where the wheels of a Python project are collected.
const WHEELS: &str = "/cache/wheels";

pub(crate) type Env = BTreeMap<String, String>;

/// While it is filled.
pub(crate) fn filling(kinds: &[Kind]) -> Env {
    let mut env = Env::new();
    for kind in kinds {
        match kind {
            Kind::Python => set(
                &mut env,
                &[
                    ("PIP_CACHE_DIR", "/cache/pip"),
                    ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
                    ("PIP_NO_INPUT", "1"),
                    ("UV_CACHE_DIR", "/cache/uv"),
                ],
            ),
            Kind::Node => node(&mut env, "/cache/node"),
            Kind::Rust => set(&mut env, &[("CARGO_HOME", "/cache/cargo")]),
            Kind::Go => set(
                &mut env,
                &[
                    ("GOMODCACHE", "/cache/go"),
                    // So that it can be removed again.
                    ("GOFLAGS", "-modcacherw"),
                ],
            ),
        }
    }
    env
}

/// Once it is sealed: nothing is fetched, and nothing is written to it.
pub(crate) fn sealed(kinds: &[Kind]) -> Env {
    let mut env = offline(kinds);
    for kind in kinds {
        match kind {
            Kind::Python => set(&mut env, &[("PIP_FIND_LINKS", WHEELS), ("UV_FIND_LINKS", WHEELS)]),
            Kind::Node => node(&mut env, NODE_COPY),
            Kind::Rust => set(&mut env, &[("CARGO_HOME", "/cache/cargo")]),
            Kind::Go => set(&mut env, &[("GOMODCACHE", "/cache/go")]),
        }
    }
    env
}

/// Without one: clients are told that there is no network, so that they say what is missing instead
/// of trying for minutes.
pub(crate) fn offline(kinds: &[Kind]) -> Env {
    let mut env = Env::new();
    for kind in kinds {
        match kind {
            Kind::Python => set(
                &mut env,
                &[
                    ("PIP_NO_INDEX", "1"),
                    ("PIP_NO_CACHE_DIR", "1"),
                    ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
                    ("PIP_NO_INPUT", "1"),
                    ("UV_OFFLINE", "1"),
                    ("UV_NO_INDEX", "1"),
                ],
            ),
            Kind::Node => set(
                &mut env,
                &[
                    ("npm_config_offline", "true"),
                    ("npm_config_audit", "false"),
                    ("npm_config_fund", "false"),
                    ("npm_config_update_notifier", "false"),
                    ("YARN_ENABLE_NETWORK", "false"),
                    ("COREPACK_ENABLE_NETWORK", "0"),
                ],
            ),
            Kind::Rust => set(&mut env, &[("CARGO_NET_OFFLINE", "true")]),
            Kind::Go => set(&mut env, &[("GOPROXY", "off"), ("GOTOOLCHAIN", "local")]),
        }
    }
    env
}

/// In front of a script: the copy that npm can write to. It is made inside, where what is copied
/// can do no harm.
pub(crate) const COPY_NODE: &str =
    "if [ -d /cache/node ]; then cp -R /cache/node/. /booty/node/ || exit 125; fi\n";

/// After a script, while the network is there: pip's own cache is of no use without an index, so
/// the wheels of what was installed are collected, with what most builds need. Those that were built
/// are taken from its cache.
pub(crate) const COLLECT_WHEELS: &str = "mkdir -p /cache/wheels\n\
    for python in .venv/bin/python venv/bin/python env/bin/python */.venv/bin/python; do\n\
    [ -x \"$python\" ] || continue\n\
    \"$python\" -m pip freeze --all --local --exclude-editable | grep == | grep -v ^pip= > /tmp/frozen\n\
    for name in setuptools wheel; do grep -q \"^$name=\" /tmp/frozen || echo $name >> /tmp/frozen; done\n\
    \"$python\" -m pip wheel --quiet --no-deps --wheel-dir /cache/wheels -r /tmp/frozen\n\
    done\n\
    rm -rf /cache/pip /cache/uv\n";

fn node(env: &mut Env, root: &str) {
    let below = |name: &str| format!("{root}/{name}");
    for (name, folder) in [
        ("npm_config_cache", "npm"),
        ("npm_config_store_dir", "pnpm"),
        ("YARN_CACHE_FOLDER", "yarn"),
        ("YARN_GLOBAL_FOLDER", "yarn-global"),
        ("COREPACK_HOME", "corepack"),
    ] {
        env.insert(name.to_owned(), below(folder));
    }
    set(env, &[("npm_config_logs_dir", "/tmp/npm-logs"), ("npm_config_update_notifier", "false")]);
}

fn set(env: &mut Env, pairs: &[(&str, &str)]) {
    env.extend(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
}
