// Tells tools/build-wasmtime.sh where the C headers of this build are.
use std::{env, fs, path::Path};

fn main() {
    let include = env::var("DEP_WASMTIME_C_API_INCLUDE")
        .expect("wasmtime-c-api-impl names its header folder");
    if let Ok(out) = env::var("JAMSOCKET_WASMTIME_OUT") {
        fs::write(Path::new(&out).join("include-dir.txt"), include)
            .expect("JAMSOCKET_WASMTIME_OUT can be written");
    }
    println!("cargo::rerun-if-env-changed=JAMSOCKET_WASMTIME_OUT");
}
