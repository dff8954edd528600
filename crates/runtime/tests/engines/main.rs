//! Containers of a real Docker and a real podman, followed through their lives by API and by state.

mod lives;
mod reuse;
