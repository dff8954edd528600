//! What lies in the directory of a containerd before it is started: its configuration, that of the
//! pods' network, and an image.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

/// The image of everything: busybox, which sleeps if it is not told to do something else.
pub(super) const IMAGE: &str = "localhost/test:1";

/// Where Debian has the CNI plugins.
pub(super) const CNI: &str = "/usr/lib/cni";

/// The configuration: nothing outside `directory` and /run, and nothing that a root without
/// CAP_SYS_RESOURCE may not do, such as lowering an OOM score.
pub(super) fn config(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        r#"version = 2
root = "{directory}/root"
oom_score = 0
disabled_plugins = [
    "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
    "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
    "io.containerd.internal.v1.opt",
]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{IMAGE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI}"
    conf_dir = "{directory}/cni"
"#
    )
}

/// The pods' network, which needs neither a bridge nor iptables.
pub(super) fn network(directory: &Path) -> String {
    let data = directory.join("ipam");
    let ranges = r#"[[{"subnet":"10.213.0.0/24"}]]"#;
    let ipam =
        format!(r#"{{"type":"host-local","dataDir":"{}","ranges":{ranges}}}"#, data.display());
    let plugin = format!(r#"{{"type":"ptp","ipMasq":false,"ipam":{ipam}}}"#);
    format!(r#"{{"cniVersion":"1.0.0","name":"test","plugins":[{plugin}]}}"#)
}

/// Makes `image.tar`, in the form of `docker save`: one layer with busybox.
pub(super) fn make_image(directory: &Path, busybox: &Path) -> io::Result<()> {
    let image = directory.join("image");
    fs::copy(busybox, image.join("bin/busybox"))?;
    for name in ["sh", "cat", "sleep", "nc", "httpd"] {
        std::os::unix::fs::symlink("busybox", image.join("bin").join(name))?;
    }
    for name in ["etc", "tmp", "proc", "sys", "dev"] {
        fs::create_dir(image.join(name))?;
    }
    let layer = directory.join("layer.tar");
    run(Command::new("tar").arg("-C").arg(&image).arg("-cf").arg(&layer).arg("."))?;
    let sum = run(Command::new("sha256sum").arg(&layer))?;
    let sum = sum.split_whitespace().next().unwrap_or_default();
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = format!(
        r#"{{"architecture":"{architecture}","os":"linux",
"config":{{"Entrypoint":["/bin/sleep"],"Cmd":["2147483647"],"Env":["PATH=/bin"]}},
"rootfs":{{"type":"layers","diff_ids":["sha256:{sum}"]}}}}"#
    );
    fs::write(directory.join("config.json"), config)?;
    let manifest =
        format!(r#"[{{"Config":"config.json","RepoTags":["{IMAGE}"],"Layers":["layer.tar"]}}]"#);
    fs::write(directory.join("manifest.json"), manifest)?;
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(directory).arg("-cf").arg(directory.join("image.tar"));
    run(tar.args(["config.json", "manifest.json", "layer.tar"])).map(drop)
}

pub(super) fn run(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("{command:?}: {}: {said}", output.status)))
}
