// Owns: a headless Chromium, and pages in it, driven by the DevTools protocol over two pipes.

import Foundation
import Glibc

/// One browser; belongs to one thread.
final class Browser {
  private let child: Child
  private let requests: Int32
  private let replies: Int32
  private var input: [UInt8] = []
  private var number = 0
  /// How many documents each page has got, by its session.
  private var documents: [String: Int] = [:]

  /// The names by which distributions have it.
  private static let names = [
    "chromium-headless-shell", "chrome-headless-shell", "chromium", "google-chrome",
  ]

  /// Starts it with a profile of its own.
  init() throws {
    let folder = try Scratch.folder("browser")
    let pipes = ["\(folder)/requests", "\(folder)/replies"]
    for pipe in pipes where mkfifo(pipe, 0o600) != 0 { throw Failure("mkfifo: errno \(errno)") }
    // Open for both, so that neither end waits for the other.
    requests = Glibc.open(pipes[0], O_RDWR | O_CLOEXEC)
    replies = Glibc.open(pipes[1], O_RDWR | O_NONBLOCK | O_CLOEXEC)
    let script = """
      for name in \(Self.names.joined(separator: " ")); do
        command -v "$name" >/dev/null && exec "$name" --headless --no-sandbox --disable-gpu \
          --disable-dev-shm-usage --remote-debugging-pipe --user-data-dir=profile \
          about:blank 3<>requests 4<>replies
      done
      echo "no Chromium is installed" >&2
      """
    child = try Child(
      ["/bin/sh", "-c", script], folder: folder, output: "\(folder)/stdout",
      errors: "\(folder)/stderr", environment: ["HOME": folder])
  }

  /// Debian's program is a script that starts the browser, which is to end with it.
  deinit {
    _ = try? call("Browser.close", [:])
    _ = try? child.wait("the browser", within: .seconds(10))
    child.end()
    close(requests)
    close(replies)
  }

  /// Opens a page in a tab of its own.
  func open(_ url: String) throws -> BrowserTab {
    let target = try call("Target.createTarget", ["url": "about:blank"])["targetId"]?.string ?? ""
    let attached = try call("Target.attachToTarget", ["targetId": target, "flatten": true])
    let session = attached["sessionId"]?.string ?? ""
    _ = try call("Page.enable", [:], session: session)
    try navigate("Page.navigate", ["url": url], session: session)
    return BrowserTab(self, session: session)
  }

  /// Calls a method of the protocol, for a page with its session.
  fileprivate func call(
    _ method: String, _ parameters: [String: Any], session: String? = nil
  ) throws -> JSON {
    number += 1
    var message: [String: Any] = ["id": number, "method": method, "params": parameters]
    if let session { message["sessionId"] = session }
    let data = try JSONSerialization.data(withJSONObject: message) + [0]
    guard data.withUnsafeBytes({ write(requests, $0.baseAddress, $0.count) }) == data.count else {
      throw Failure("\(method): errno \(errno)")
    }
    let deadline = Deadline(within: .seconds(30))
    while true {
      let reply = try next(deadline)
      guard reply["id"]?.int == number else { continue }
      guard let result = reply["result"] else { throw Failure("\(method): \(reply)") }
      return result
    }
  }

  /// Calls a method that gives a page another document, and waits until it has that: the browser
  /// refuses what is evaluated in between.
  fileprivate func navigate(
    _ method: String, _ parameters: [String: Any], session: String
  ) throws {
    let before = documents[session]
    _ = try call(method, parameters, session: session)
    let deadline = Deadline(within: .seconds(30))
    while documents[session] == before { _ = try next(deadline) }
  }

  /// The next message; they end with a zero.
  private func next(_ deadline: Deadline) throws -> JSON {
    while true {
      if let end = input.firstIndex(of: 0) {
        defer { input.removeFirst(end + 1) }
        let message = try JSON(String(decoding: input[..<end], as: UTF8.self))
        if message["method"]?.string == "Page.frameNavigated",
          message["params"]?["frame"]?["url"]?.string != "about:blank",
          let session = message["sessionId"]?.string
        {
          documents[session, default: 0] += 1
        }
        return message
      }
      guard !deadline.isOver else { throw Failure("the browser does not answer") }
      var poll = pollfd(fd: replies, events: Int16(POLLIN), revents: 0)
      guard Glibc.poll(&poll, 1, 100) > 0 else { continue }
      var room = [UInt8](repeating: 0, count: 65_536)
      let count = read(replies, &room, room.count)
      if count > 0 { input += room[..<count] }
    }
  }
}

/// A page in a tab.
final class BrowserTab {
  private let browser: Browser
  private let session: String

  fileprivate init(_ browser: Browser, session: String) {
    (self.browser, self.session) = (browser, session)
  }

  /// The value of an expression of JavaScript, awaited where it is a promise.
  func evaluate(_ expression: String) throws -> JSON {
    let parameters: [String: Any] = [
      "expression": expression, "awaitPromise": true, "returnByValue": true,
    ]
    let reply = try browser.call("Runtime.evaluate", parameters, session: session)
    guard reply["exceptionDetails"] == nil, let result = reply["result"] else {
      throw Failure("\(expression): \(reply)")
    }
    return result["value"] ?? .null
  }

  /// Loads the page anew; what is evaluated then is in its new document.
  func reload() throws { try browser.navigate("Page.reload", [:], session: session) }

  /// Presses a key, by its name.
  func key(_ name: String) throws {
    let codes = [
      "Tab": 9, "Enter": 13, "Escape": 27, "ArrowUp": 38, "ArrowDown": 40, "Home": 36, "End": 35,
    ]
    var event: [String: Any] = [
      "key": name, "code": name, "windowsVirtualKeyCode": codes[name] ?? 0, "type": "rawKeyDown",
    ]
    if name == "Enter" { (event["type"], event["text"]) = ("keyDown", "\r") }
    _ = try browser.call("Input.dispatchKeyEvent", event, session: session)
    event["type"] = "keyUp"
    event["text"] = nil
    _ = try browser.call("Input.dispatchKeyEvent", event, session: session)
  }

  /// Has the browser prefer the colours `light` or `dark`.
  func prefer(theme: String) throws {
    let feature = ["name": "prefers-color-scheme", "value": theme]
    _ = try browser.call(
      "Emulation.setEmulatedMedia", ["media": "screen", "features": [feature]], session: session)
  }

  /// The page as it looks, as PNG.
  func screenshot(width: Int, height: Int) throws -> Data {
    let size: [String: Any] = [
      "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
    ]
    _ = try browser.call("Emulation.setDeviceMetricsOverride", size, session: session)
    let shot = try browser.call("Page.captureScreenshot", ["format": "png"], session: session)
    return Data(base64Encoded: shot["data"]?.string ?? "") ?? Data()
  }
}
