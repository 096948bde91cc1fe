//! What kind of confinement this runs in, and how its owner lets through what Interlock needs. Words only: nothing is decided by them.
//!
//! Told by what the runtimes leave for programs to find; who lies about it gets another hint, no more. docs/containers.md has it at length.

use std::path::Path;

/// Calls that the default profiles give to whoever has CAP_SYS_PTRACE.
const WITH_SYS_PTRACE: [&str; 2] = ["pidfd_getfd", "ptrace"];

/// Who put the filter there, as far as can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runtime {
    Kubernetes,
    Podman,
    Docker,
    Nspawn,
    /// None of them: a service's unit, most often.
    Unit,
}

/// What the owner of this container (or unit) changes so that `calls` go through.
#[must_use]
pub fn advice(calls: &[&str]) -> String {
    let markers = Markers {
        kubernetes: std::env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
        podman: Path::new("/run/.containerenv").exists(),
        docker: Path::new("/.dockerenv").exists(),
        container: std::env::var("container").unwrap_or_default(),
    };
    words(runtime(&markers), calls)
}

struct Markers {
    kubernetes: bool,
    podman: bool,
    docker: bool,
    container: String,
}

fn runtime(markers: &Markers) -> Runtime {
    match markers {
        Markers { kubernetes: true, .. } => Runtime::Kubernetes,
        // The innermost sets its variable; the files may be an outer one's.
        Markers { container, .. } if container == "podman" => Runtime::Podman,
        Markers { container, .. } if container == "docker" => Runtime::Docker,
        Markers { container, .. } if container == "systemd-nspawn" => Runtime::Nspawn,
        Markers { podman: true, .. } => Runtime::Podman,
        Markers { docker: true, .. } => Runtime::Docker,
        _ => Runtime::Unit,
    }
}

fn words(runtime: Runtime, calls: &[&str]) -> String {
    let capability = calls.iter().all(|call| WITH_SYS_PTRACE.contains(call));
    let listed = calls.join(" ");
    let way = match runtime {
        Runtime::Docker | Runtime::Podman => {
            let program = if runtime == Runtime::Docker { "docker" } else { "podman" };
            let profile = "`--security-opt seccomp=FILE`, FILE being what `interlock container-profile` prints";
            match capability {
                true => format!("`{program} run --cap-add SYS_PTRACE`, or {profile}"),
                false => format!("`{program} run` with {profile}"),
            }
        }
        Runtime::Kubernetes => {
            let profile =
                "`seccompProfile: {type: Localhost, localhostProfile: FILE}`, FILE being what `interlock container-profile` prints";
            match capability {
                true => format!("in the container's securityContext `capabilities: {{add: [SYS_PTRACE]}}`, or {profile}"),
                false => format!("in the container's securityContext {profile}"),
            }
        }
        Runtime::Nspawn => format!("`systemd-nspawn --system-call-filter=\"{listed}\"`"),
        Runtime::Unit => {
            format!(
                "in a systemd unit `SystemCallFilter={listed}`; in a container SYS_PTRACE or `interlock container-profile` (docs/containers.md)"
            )
        }
    };
    format!("let it through: {way}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Markers = Markers { kubernetes: false, podman: false, docker: false, container: String::new() };

    #[test]
    fn each_runtime_is_told_by_what_it_leaves() {
        let container = |name: &str| Markers { container: name.into(), ..NONE };
        let cases = [
            (Markers { kubernetes: true, docker: true, ..NONE }, Runtime::Kubernetes),
            (Markers { podman: true, ..NONE }, Runtime::Podman),
            (Markers { docker: true, ..NONE }, Runtime::Docker),
            (container("podman"), Runtime::Podman),
            (container("systemd-nspawn"), Runtime::Nspawn),
            (container("lxc"), Runtime::Unit),
            (NONE, Runtime::Unit),
        ];
        for (markers, expected) in cases {
            assert_eq!(runtime(&markers), expected);
        }
    }

    #[test]
    fn the_capability_is_named_where_it_is_enough() {
        for runtime in [Runtime::Docker, Runtime::Podman, Runtime::Kubernetes] {
            assert!(words(runtime, &["pidfd_getfd"]).contains("SYS_PTRACE"));
            assert!(!words(runtime, &["pidfd_getfd", "landlock_add_rule"]).contains("SYS_PTRACE"));
            assert!(words(runtime, &["seccomp"]).contains("interlock container-profile"));
        }
        assert!(words(Runtime::Nspawn, &["pidfd_getfd"]).contains("--system-call-filter=\"pidfd_getfd\""));
        assert!(words(Runtime::Unit, &["a", "b"]).contains("SystemCallFilter=a b"));
    }
}
