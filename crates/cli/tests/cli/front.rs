//! Real proxies in front of `ta serve`, with the very lines of `packaging/`.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const NGINX: &str = include_str!("../../../../packaging/nginx.conf");
const CADDY: &str = include_str!("../../../../packaging/Caddyfile");

/// A proxy on a port of its own; ended by its process id when dropped.
pub(crate) struct Front {
    child: Child,
    pub(crate) port: u16,
}

impl Front {
    /// nginx, its files in `folder`, before the server at `behind`.
    pub(crate) fn nginx(folder: &Path, behind: &str) -> Self {
        let (port, place) = (free_port(), folder.display());
        let snippet = NGINX.replace("127.0.0.1:8080", behind);
        let text = format!(
            "daemon off; master_process off; pid {place}/nginx.pid; error_log {place}/error.log;\n\
             events {{}}\nhttp {{\naccess_log {place}/access.log;\n\
             client_body_temp_path {place}/body; proxy_temp_path {place}/proxy;\n\
             fastcgi_temp_path {place}/fastcgi; uwsgi_temp_path {place}/uwsgi;\n\
             scgi_temp_path {place}/scgi;\n\
             server {{\nlisten 127.0.0.1:{port};\n{snippet}\n}}\n}}\n"
        );
        let config = folder.join("nginx.conf");
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&config).arg("-e").arg(folder.join("error.log"));
        Self::run(command, port)
    }

    /// The same with Caddy.
    pub(crate) fn caddy(folder: &Path, behind: &str) -> Self {
        let port = free_port();
        // Without a name there is no certificate to be had.
        let site = CADDY.replace("tasks.example.com {", &format!("http://:{port} {{"));
        let text = site.replace("127.0.0.1:8080", behind);
        let config = folder.join("Caddyfile");
        std::fs::write(&config, format!("{{\n\tadmin off\n}}\n{text}")).unwrap();
        let mut command = Command::new("caddy");
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&config);
        command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
        Self::run(command, port)
    }

    fn run(mut command: Command, port: u16) -> Self {
        let path = std::env::var("PATH").unwrap_or_default();
        let child = command
            .env("PATH", format!("{path}:/usr/sbin"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the proxy is missing: `cargo xtask test` installs it");
        let front = Self { child, port };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "the proxy does not listen");
            std::thread::yield_now();
        }
        front
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// They cannot choose a port themselves: one that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
