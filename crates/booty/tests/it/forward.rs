//! `booty forward`: the program itself in a sandbox, as the way to a proxy.

use std::{
    io::{Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
};

use booty_sandbox::{Command, End, Network, ProxyExit, Sandbox, SandboxSettings};

#[tokio::test]
async fn it_carries_a_sandboxs_connections_and_leaves_the_script_alone() {
    let forwarder = Some(env!("CARGO_BIN_EXE_booty").into());
    let settings = SandboxSettings { forwarder, ..SandboxSettings::default() };
    let sandbox = match Sandbox::prepare(settings).await {
        Ok(sandbox) => sandbox,
        Err(error) => return println!("skipped: {error}"),
    };
    let (tree, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let socket = folder.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    let heard = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut said = [0; 5];
        client.read_exact(&mut said).unwrap();
        client.write_all(b"answer").unwrap();
        said
    });
    sandbox.own(tree.path()).unwrap();
    let script = "/usr/bin/python3 -c \"import os, socket\n\
        from urllib.parse import urlsplit\n\
        at = urlsplit(os.environ['HTTPS_PROXY'])\n\
        s = socket.create_connection((at.hostname, at.port)); s.sendall(b'hello')\n\
        print(s.recv(6).decode())\"; exit 7";
    let network = Network::Proxy(ProxyExit { socket });
    let command = Command { network, ..Command::new(script, tree.path()) };
    let result = sandbox.run(&command, &Default::default()).await.unwrap();
    assert_eq!((result.end, result.output.as_str()), (End::Exited(7), "answer\n"));
    assert_eq!(&heard.join().unwrap(), b"hello");
}
