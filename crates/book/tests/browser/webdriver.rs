//! A browser, driven by the protocol of web drivers (<https://www.w3.org/TR/webdriver2/>).

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Lines, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// A browser without a window.
pub struct Browser {
    driver: Child,
    /// Without a reader, the driver would end with its next line.
    _output: Lines<BufReader<ChildStdout>>,
    port: u16,
    session: String,
    /// The width of the page, or 0 before the first one is set.
    width: Cell<u32>,
}

/// The keys without a character, as the protocol writes them.
pub mod key {
    pub const LEFT: char = '\u{e012}';
    pub const RIGHT: char = '\u{e014}';
    pub const HOME: char = '\u{e011}';
    pub const END: char = '\u{e010}';
}

const INSTALL: &str = "install a Chromium and its driver, such as the packages chromium and \
                       chromium-driver of Debian";

impl Browser {
    pub fn start() -> Browser {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start chromedriver ({error}): {INSTALL}"));
        let mut output = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = output.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        let mut browser = Browser {
            driver,
            port: port.expect("chromedriver says its port"),
            _output: output,
            session: String::new(),
            width: Cell::new(0),
        };
        // Root may not have a sandbox.
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--hide-scrollbars",
            "--disable-gpu",
        ];
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": args},
            "goog:loggingPrefs": {"browser": "ALL"},
            // Milliseconds, as a busy machine may need them.
            "timeouts": {"script": 200_000, "pageLoad": 300_000},
        }}});
        let session = browser.request("POST", "/session", &capabilities);
        let session = session.unwrap_or_else(|error| panic!("{error}: {INSTALL}"));
        browser.session = session["sessionId"].as_str().unwrap().to_owned();
        // Otherwise, the driver could take the end of the empty first page for that of the next.
        browser.wait_for_page();
        browser
    }

    /// Sends a request to the driver, and returns the value in its answer.
    fn request(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let failed = |error: io::Error| format!("{path}: {error}");
        let answer = self.exchange(method, path, body).map_err(failed)?;
        let mut answer: Value = serde_json::from_slice(&answer)
            .map_err(|error| format!("{path}: {error} in the answer of chromedriver"))?;
        let value = answer["value"].take();
        if value["error"].is_null() {
            Ok(value)
        } else {
            Err(format!("{path}: {} {}", value["error"], value["message"]))
        }
    }

    /// Sends a request in HTTP, and returns the body of the answer.
    fn exchange(&self, method: &str, path: &str, body: &Value) -> io::Result<Vec<u8>> {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        let body = if method == "POST" {
            body.to_string()
        } else {
            String::new()
        };
        let len = body.len();
        let host = format!("127.0.0.1:{}", self.port);
        write!(
            socket,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {len}\r\n\r\n{body}"
        )?;
        let mut socket = BufReader::new(socket);
        let mut len = 0;
        loop {
            let mut line = String::new();
            if socket.read_line(&mut line)? == 0 {
                return Err(io::Error::other("chromedriver has ended, or was ended"));
            }
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                len = value.trim().parse().map_err(io::Error::other)?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut answer = vec![0; len];
        socket.read_exact(&mut answer)?;
        Ok(answer)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}{path}", self.session);
        match self.request("POST", &path, body) {
            Ok(value) => value,
            Err(error) => panic!("{error}"),
        }
    }

    /// Opens a page, and waits until all of it is there.
    pub fn open(&self, url: &str) {
        self.post("/url", &json!({"url": url}));
        assert_eq!(self.wait_for_page(), url, "the page that is open");
    }

    /// Waits until all of a page is there, and returns its address. On a busy machine, the driver
    /// itself does not always wait for the first page.
    fn wait_for_page(&self) -> Value {
        const WAIT: &str = "const [done] = arguments;
            if (document.readyState === 'complete') {
                done(location.href);
            } else {
                addEventListener('load', () => done(location.href));
            }";
        self.run_async(WAIT, json!([]))
    }

    /// Sets the size of the page in CSS pixels. A narrow page is that of a phone. The next page
    /// that is opened begins as one of that size, for example without the list of chapters on a
    /// phone.
    pub fn resize(&self, width: u32) {
        if self.width.replace(width) == width {
            return;
        }
        let is_mobile = width < 600;
        let metrics = json!({
            "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": is_mobile,
        });
        let params = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics});
        self.post("/goog/cdp/execute", &params);
    }

    /// Returns the width of the page in CSS pixels.
    pub fn width(&self) -> u32 {
        self.width.get()
    }

    /// Shows the page as it is printed, or as it is on the screen.
    pub fn emulate_print(&self, is_print: bool) {
        let media = if is_print { "print" } else { "" };
        let params = json!({"cmd": "Emulation.setEmulatedMedia", "params": {"media": media}});
        self.post("/goog/cdp/execute", &params);
    }

    /// Shows pages by day (`light`) or by night (`dark`).
    pub fn emulate_scheme(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        let params = json!({"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}});
        self.post("/goog/cdp/execute", &params);
    }

    /// Runs the body of a function with `args`, and returns its result.
    pub fn run(&self, script: &str, args: Value) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": args}))
    }

    /// Runs the body of a function whose last argument is called with the result.
    pub fn run_async(&self, script: &str, args: Value) -> Value {
        self.post("/execute/async", &json!({"script": script, "args": args}))
    }

    /// Presses keys, one after the other.
    pub fn press(&self, keys: impl IntoIterator<Item = char>) {
        let press = |key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key}));
        let events: Vec<_> = keys.into_iter().flat_map(press).collect();
        let actions = json!([{"type": "key", "id": "keys", "actions": events}]);
        self.post("/actions", &json!({"actions": actions}));
    }

    /// Returns the lines on the console since the last call.
    pub fn console(&self) -> Vec<String> {
        let lines = self.post("/se/log", &json!({"type": "browser"}));
        let lines = lines.as_array().unwrap().iter();
        lines
            .map(|line| format!("{}: {}", line["level"], line["message"]))
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends with its browsers, which then remove their temporary files.
        let session = format!("/session/{}", self.session);
        let _ = self.request("DELETE", &session, &Value::Null);
        if self.request("GET", "/shutdown", &Value::Null).is_err() {
            let _ = self.driver.kill();
        }
        let _ = self.driver.wait();
    }
}
