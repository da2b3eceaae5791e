//! A real nginx as origin: one process in the foreground, with a configuration of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::{Child, Folder, PATIENCE, free_port};

#[derive(Debug)]
pub struct Nginx {
    address: SocketAddr,
    process: Child,
    // Last, so that it is removed after the process.
    folder: Folder,
}

impl Nginx {
    /// Serves the files below `root`.
    pub fn start(root: &Path) -> Self {
        Self::start_with(root, "")
    }

    /// Serves the files below `root`; `lines` go into the server block, such as a location.
    pub fn start_with(root: &Path, lines: &str) -> Self {
        Self::launch(root, "", lines)
    }

    /// The same over TLS; `lines` name the certificate and its key.
    pub fn start_tls(root: &Path, lines: &str) -> Self {
        Self::launch(root, " ssl", lines)
    }

    /// The same where each connection begins with a PROXY header.
    pub fn start_announced(root: &Path, lines: &str) -> Self {
        Self::launch(root, " proxy_protocol", lines)
    }

    /// The same with TLS behind it.
    pub fn start_announced_tls(root: &Path, lines: &str) -> Self {
        Self::launch(root, " ssl proxy_protocol", lines)
    }

    fn launch(root: &Path, listen: &str, lines: &str) -> Self {
        let folder = Folder::new();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let own = folder.path().display();
        let config = folder.write(
            "nginx.conf",
            format!(
                "daemon off;
                master_process off;
                pid {own}/pid;
                events {{ worker_connections 1024; }}
                http {{
                    types {{ text/html html; text/plain txt; text/css css; image/png png; }}
                    default_type application/octet-stream;
                    access_log {own}/access.log;
                    client_body_temp_path {own}/body;
                    proxy_temp_path {own}/proxy;
                    fastcgi_temp_path {own}/fastcgi;
                    uwsgi_temp_path {own}/uwsgi;
                    scgi_temp_path {own}/scgi;
                    keepalive_requests 1000000;
                    server {{
                        listen {address}{listen};
                        root {};
                        {lines}
                    }}
                }}
                ",
                root.display()
            ),
        );
        let mut process = Child::start(
            Command::new(program())
                .arg("-p")
                .arg(folder.path())
                .arg("-c")
                .arg(&config)
                .args(["-e", "stderr"]),
            "nginx-light",
        );
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(
                process.ended().is_none() && Instant::now() < end,
                "nginx does not serve: {}",
                process.stderr.to_the_end(Duration::from_secs(1))
            );
            thread::sleep(Duration::from_millis(5));
        }
        Self {
            address,
            process,
            folder,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The lines of its access log so far.
    pub fn served(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path().join("access.log"));
        log.unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Ends it, so that connecting to it is refused.
    pub fn stop(&mut self) {
        self.process.kill();
    }
}

/// Debian keeps nginx out of the path of ordinary users.
fn program() -> &'static str {
    if Path::new("/usr/sbin/nginx").exists() {
        "/usr/sbin/nginx"
    } else {
        "nginx"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::curl;

    #[test]
    fn nginx_serves_a_folder_until_it_is_stopped() {
        let folder = Folder::new();
        folder.write("a.txt", "from a file\n");
        let mut nginx = Nginx::start_with(folder.path(), "location /x { return 418; }");
        let url = format!("http://{}", nginx.address());
        let answer = curl(&[&format!("{url}/a.txt")]).ok();
        assert_eq!(answer.text(), "from a file\n");
        let status = curl(&["-o", "/dev/null", "-w", "%{http_code}", &format!("{url}/x")]);
        assert_eq!(status.text(), "418");
        assert_eq!(nginx.served().len(), 2);
        nginx.stop();
        assert_eq!(
            curl(&[&url]).code,
            7,
            "7 is curl's word for a refused connection"
        );
    }
}
