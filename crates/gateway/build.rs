//! Compiles the interface descriptions; no `protoc` is needed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let protos = ["proto/gateway.proto", "proto/health.proto"];
    for proto in protos {
        println!("cargo::rerun-if-changed={proto}");
    }
    tonic_prost_build::configure()
        .client_mod_attribute(".", "#[cfg(feature = \"client\")]")
        .compile_fds(protox::compile(protos, ["proto"])?)?;
    Ok(())
}
