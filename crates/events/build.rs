//! Compiles `proto/` with a compiler written in Rust, so that building needs no `protoc`.

use std::{env, error::Error, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    let files = ["alert", "budget", "event", "effect", "job", "rpc"]
        .map(|name| root.join(format!("booty/v1/{name}.proto")));
    println!("cargo:rerun-if-changed={}", root.display());

    let descriptors = protox::compile(&files, [&root])?;
    prost_build::Config::new()
        .compile_well_known_types()
        .extern_path(".google.protobuf", "::pbjson_types")
        .bytes(["."])
        .btree_map(["."])
        // It holds a token, which must not get into a log: see `secret.rs`.
        .skip_debug([".booty.v1.ReadTokenReply"])
        .compile_fds(descriptors.clone())?;

    // The JSON that `--json` prints is protobuf's own JSON, with the names of the .proto files.
    let mut json = pbjson_build::Builder::new();
    json.preserve_proto_field_names().btree_map(["."]);
    for file in descriptors.file {
        json.register_file_descriptor(file);
    }
    json.build(&[".booty.v1"])?;
    Ok(())
}
