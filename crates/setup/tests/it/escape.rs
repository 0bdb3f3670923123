//! What a hostile setup step must not reach, with the whole line in front of it.

use std::net::TcpListener;

use booty_setup::{Host, Kind, NotInstalledWhy, SetupOutcome, SetupStep, Why};

use crate::world::{World, installed, step};

const PROGRAM: &str = "
import os, socket
from urllib.parse import urlsplit
at = urlsplit(os.environ['https_proxy'])
port = int(open('port').read())
def attempt(what, do):
    try:
        do(); print('reached', what)
    except OSError:
        pass
for there in [('127.0.0.1', port), ('169.254.169.254', 80), ('192.0.2.1', 443), ('::1', port)]:
    attempt(there, lambda: socket.create_connection(there, 1))
attempt('dns', lambda: socket.getaddrinfo('registry.invalid', 443))
def ask(request):
    s = socket.create_connection((at.hostname, at.port)); s.sendall(request.encode())
    heard = b''
    try:
        while part := s.recv(4096):
            heard += part
    except OSError:
        pass
    return heard.split(b'\\r\\n')[0].decode()
for request in [
    'CONNECT other.invalid:443 HTTP/1.1',
    f'CONNECT localhost:{port + 1} HTTP/1.1',
    f'CONNECT 127.0.0.1:{port} HTTP/1.1',
    'CONNECT 169.254.169.254:80 HTTP/1.1',
    f'GET http://localhost:{port}/ HTTP/1.1\\r\\nHost: other.invalid',
    f'GET http://localhost:{port}/ HTTP/1.1\\r\\nContent-Length: 5\\r\\nTransfer-Encoding: chunked',
]:
    print(ask(request + '\\r\\n\\r\\n'))
print(ask(f'GET http://localhost:{port}/x HTTP/1.1\\r\\n\\r\\nGET http://other.invalid/ HTTP/1.1\\r\\n\\r\\n'))
";

#[tokio::test]
async fn a_setup_step_reaches_its_registry_and_nothing_else() {
    let mut world = World::new().await;
    let registry = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = registry.local_addr().unwrap().port();
    // Named by the operator, and in the operator's own network.
    world.settings.hosts = vec![Host::new("localhost", port).unwrap()];
    let served = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut client, _) = registry.accept().unwrap();
        let mut said = vec![0; 4096];
        let length = client.read(&mut said).unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        String::from_utf8_lossy(&said[..length]).into_owned()
    });
    let tree =
        world.tree(&[("go.mod", "module x\n"), ("port", &port.to_string()), ("p.py", PROGRAM)]);
    // Of a kind that asks no client by fetching.
    let step = step(Kind::Go, tree.path(), "/usr/bin/python3 p.py");
    let done = installed(world.run(&world.setup(), &step).await);
    let lines: Vec<&str> = done.result.output.lines().collect();
    assert_eq!(lines[..6], ["HTTP/1.1 403 Forbidden"; 6], "{}", done.result.output);
    assert_eq!(lines[6..], ["HTTP/1.1 200 OK"]);
    assert!(served.join().unwrap().starts_with("GET /x HTTP/1.1\r\n"));
    assert_eq!(done.reached.iter().map(|r| r.host.name()).collect::<Vec<_>>(), ["localhost"]);
    let not_allowed = done.refused.iter().filter(|refused| refused.why == Why::NotAllowed).count();
    assert_eq!((not_allowed, done.refused.len()), (4, 6), "{:?}", done.refused);
}

#[tokio::test]
async fn a_step_that_wants_another_host_is_told_apart_from_one_that_fails() {
    let mut world = World::new().await;
    world.settings.hosts = vec!["registry.invalid".parse().unwrap()];
    let tree = world.tree(&[("go.mod", "module x\n")]);
    let program = "/usr/bin/python3 -c \"import urllib.request as u; u.urlopen('HOST')\"";
    for (script, why) in [
        (program.replace("HOST", "https://other.invalid/"), NotInstalledWhy::Refused),
        (program.replace("HOST", "https://registry.invalid/"), NotInstalledWhy::Unreachable),
        ("echo no such package; exit 3".to_owned(), NotInstalledWhy::Failed),
    ] {
        let outcome = world.run(&world.setup(), &step(Kind::Go, tree.path(), &script)).await;
        let SetupOutcome::NotInstalled(not) = outcome else {
            panic!("{script} installed something")
        };
        assert_eq!(not.why, why, "{:?} {:?}", not.result, not.refused);
    }
    // None of them left a cache.
    let left = std::fs::read_dir(world.caches()).unwrap().flatten();
    assert!(
        left.map(|entry| entry.path()).all(|path| path.extension().is_some_and(|e| e == "lock"))
    );
}

#[tokio::test]
async fn what_one_pull_request_put_into_its_cache_is_not_anothers() {
    let mut world = World::new().await;
    world.settings.hosts = vec!["registry.invalid".parse().unwrap()];
    let setup = world.setup();
    let script =
        "[ -w /cache ] && [ -f poison ] && echo poison > /cache/x; cat /cache/x 2>/dev/null; true";
    let evil = world.tree(&[("go.mod", "module x\n"), ("poison", "")]);
    let mut step_of_evil = step(Kind::Go, evil.path(), script);
    step_of_evil.scope = "pull request 7".to_owned();
    for _ in 0..2 {
        let done = installed(world.run(&setup, &step_of_evil).await);
        assert_eq!(done.result.output, "poison\n");
    }
    // The same lock in another scope, and another lock in the same scope.
    let good = world.tree(&[("go.mod", "module x\n")]);
    let mut base = step(Kind::Go, good.path(), script);
    assert_eq!(installed(world.run(&setup, &base).await).result.output, "");
    std::fs::write(good.path().join("go.mod"), "module x\n\n").unwrap();
    base.scope = step_of_evil.scope;
    assert_eq!(installed(world.run(&setup, &base).await).result.output, "");
}

#[tokio::test]
async fn a_pull_request_uses_the_base_branchs_cache_and_cannot_fill_it() {
    let mut world = World::new().await;
    world.settings.hosts = vec!["registry.invalid".parse().unwrap()];
    let setup = world.setup();
    let script = "[ -w /cache ] && date +%N > /cache/x; cat /cache/x; echo y > /cache/y; true";
    let tree = world.tree(&[("go.mod", "module x\n")]);
    let base = step(Kind::Go, tree.path(), script);
    let mut pull = SetupStep { scope: "7".into(), also_from: vec!["base".into()], ..base.clone() };
    let filled = installed(world.run(&setup, &base).await).result.output;
    let used = installed(world.run(&setup, &pull).await);
    assert!(used.cache_hit);
    assert_eq!(used.result.output.lines().next(), filled.lines().next());
    assert!(used.result.output.contains("Read-only file system"), "{}", used.result.output);
    drop(used);
    pull.also_from.clear();
    assert!(!installed(world.run(&setup, &pull).await).cache_hit);
}

#[tokio::test]
async fn a_project_without_packages_needs_no_network() {
    let world = World::new().await;
    let tree = world.tree(&[("main.py", "")]);
    let done = installed(world.run(&world.setup(), &step(Kind::Python, tree.path(), "true")).await);
    assert!(!done.cache_hit && done.mounts_and_env_after().0.is_empty());
}
