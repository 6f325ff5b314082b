//! A browser, driven by the protocol of web drivers (<https://www.w3.org/TR/webdriver2/>).

use std::io::{BufRead, BufReader, Lines, Read, Write};
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
}

/// A key of the keyboard, as the protocol writes it.
#[derive(Debug, Clone, Copy)]
pub enum Key {
    Left,
    Right,
    Home,
    End,
}

impl Key {
    fn code(self) -> &'static str {
        match self {
            Key::Left => "\u{e012}",
            Key::Right => "\u{e014}",
            Key::Home => "\u{e011}",
            Key::End => "\u{e010}",
        }
    }
}

impl Browser {
    pub fn start() -> Browser {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "cannot start chromedriver ({error}): install a Chromium and its driver, such \
                     as the packages chromium and chromium-driver of Debian"
                )
            });
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
        }}});
        let session = browser.request("POST", "/session", &capabilities);
        browser.session = session["sessionId"].as_str().unwrap().to_owned();
        browser
    }

    /// Sends a request to the driver, and returns the value in its answer.
    fn request(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
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
        )
        .unwrap();
        let mut socket = BufReader::new(socket);
        let mut len = 0;
        loop {
            let mut line = String::new();
            socket.read_line(&mut line).unwrap();
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                len = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut answer = vec![0; len];
        socket.read_exact(&mut answer).unwrap();
        let mut answer: Value = serde_json::from_slice(&answer).unwrap();
        let value = answer["value"].take();
        assert!(
            value["error"].is_null(),
            "{path}: {} {}",
            value["error"],
            value["message"]
        );
        value
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.request("POST", &format!("/session/{}{path}", self.session), body)
    }

    pub fn open(&self, url: &str) {
        self.post("/url", &json!({"url": url}));
    }

    /// Sets the size of the page in CSS pixels. A narrow page is that of a phone.
    pub fn resize(&self, width: u32) {
        let is_mobile = width < 600;
        let metrics = json!({
            "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": is_mobile,
        });
        let params = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics});
        self.post("/goog/cdp/execute", &params);
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
    pub fn press(&self, keys: &[Key]) {
        let events: Vec<_> = keys
            .iter()
            .flat_map(|key| {
                ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.code()}))
            })
            .collect();
        self.post(
            "/actions",
            &json!({"actions": [{"type": "key", "id": "keys", "actions": events}]}),
        );
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
        if !self.session.is_empty() {
            self.request(
                "DELETE",
                &format!("/session/{}", self.session),
                &Value::Null,
            );
        }
        // It has no other sessions.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
