// Owns: the tests of the page for people in a real browser.

import Foundation
import Testing

extension BrowserTab {
  /// The text that an element shows; empty if there is none.
  func text(_ selector: String) throws -> String {
    try evaluate("document.querySelector('\(selector)')?.textContent ?? ''").string ?? ""
  }

  func awaitText(_ selector: String, _ part: String) throws {
    try eventually("'\(part)' in \(selector), which has: \(text(selector))", within: .seconds(20)) {
      try text(selector).contains(part)
    }
  }

  func click(_ selector: String) throws {
    let found = try evaluate(
      "(() => { const e = document.querySelector('\(selector)'); e?.click(); return !!e })()")
    guard found.bool == true else { throw Failure("there is no \(selector) to click") }
  }

  /// Clicks the first button of that name, once it is there.
  func press(button name: String) throws {
    try eventually("a button \(name)", within: .seconds(20)) {
      try evaluate(
        "(() => { const e = [...document.querySelectorAll('button')]"
          + ".find((b) => b.textContent === '\(name)'); e?.click(); return !!e })()"
      ).bool == true
    }
  }

  func show(_ view: String) throws { _ = try evaluate("location.hash = '\(view)'") }

  /// What axe-core finds that is wrong with what is shown; a line for each.
  func accessibilityFaults() throws -> String {
    try evaluate(
      "axe.run().then((r) => r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.html)"
        + ".join(' ')).join('\\n'))"
    ).string ?? "axe-core did not run"
  }
}

extension SystemSuites {
  @Suite struct PageTests {
    private func open(_ browser: Browser, _ worker: WorkerProcess) throws -> BrowserTab {
      let tab = try browser.open("http://127.0.0.1:\(worker.adminPort)/")
      try tab.awaitText("#live", "live")
      return tab
    }

    /// A session with messages on a device that an agent holds.
    private func fill(_ client: LineClient) throws {
      expect(try client.request("LOCK dev-1 scheduling"), "OK")
      expect(try client.request("OPEN dev-1 user=ada name=trip {\"topic\":\"rome\"}"), "OK")
      expect(try client.request("SAY dev-1 {\"role\":\"user\",\"text\":\"<b>hi</b>\"}"), "OK")
    }

    @Test func `the page shows what is there, follows it, finds, acts, and outlives its worker`()
      throws
    {
      let lab = try Lab(workers: [])
      defer { lab.stop() }
      let port = "127.0.0.1:\(try TestSocket.freePort())"
      let first = try WorkerProcess(on: lab.redis, ["--admin", port])
      defer { first.kill() }
      let client = try first.connect()
      try fill(client)
      expect(try client.request("HOOK billing url=https://hooks.example/x secret=s"), "OK")
      let browser = try Browser()
      let tab = try open(browser, first)
      try tab.awaitText("main", "scheduling")
      try tab.awaitText("main", "OPEN")
      try tab.awaitText("main", "billing")
      #expect(try tab.text("nav [aria-current]") == "Overview")
      // Rows of a list, by keys.
      expect(try client.request("LOCK dev-2 billing"), "OK")
      try tab.show("locks")
      try tab.awaitText("main", "dev-2")
      _ = try tab.evaluate("document.querySelector('tr.row[tabindex=\"0\"]').focus()")
      try tab.key("ArrowDown")
      #expect(try tab.evaluate("document.activeElement.dataset.index").string == "1")
      try tab.key("Home")
      try tab.key("Enter")
      try eventually("the row opened") {
        try tab.evaluate("location.hash").string?.hasPrefix("#device=") == true
      }
      // Events as they happen.
      try tab.show("events")
      try tab.awaitText("main", "Events as they happen0 rows")
      expect(try client.request("CLEAR dev-2"), "OK")
      try tab.awaitText("main", "lock.cleared")
      // A search, whose texts are texts.
      _ = try tab.evaluate(
        "document.getElementById('words').value = 'dev-1';"
          + "document.getElementById('search').requestSubmit()")
      try tab.awaitText("main", "<b>hi</b>")
      try tab.awaitText("main", "rome")
      try tab.awaitText("main", "scheduling")
      // An action is done after a question only.
      try tab.press(button: "Clear the lock")
      try tab.awaitText("#confirm-title", "dev-1")
      try tab.key("Escape")
      #expect(try client.request("HOLDER dev-1").raw.contains("scheduling"))
      try tab.press(button: "Clear the lock")
      try tab.click("#confirm-yes")
      try eventually("the lock cleared") { try client.request("HOLDER dev-1").raw == "NONE" }
      try tab.awaitText("main", "no agent holds it")
      try tab.press(button: "Close as completed")
      try tab.click("#confirm-yes")
      try tab.awaitText("#notice", "CLOSE: done")
      try outlive(first, on: port, lab, client, tab)
    }

    /// The worker dies while its events are shown, and another one takes its port.
    private func outlive(
      _ first: WorkerProcess, on port: String, _ lab: Lab, _ client: LineClient, _ tab: BrowserTab
    ) throws {
      try tab.show("events")
      try tab.awaitText("main", "Events as they happen0 rows")
      expect(try client.request("OPEN dev-3"), "OK")
      try tab.awaitText("main", "dev-3")
      first.kill()
      try tab.awaitText("#live", "reconnecting")
      let second = try WorkerProcess(on: lab.redis, ["--admin", port])
      defer { second.kill() }
      expect(try second.connect().request("OPEN dev-4"), "OK")
      try tab.awaitText("#live", "live")
      // None is missed, and none is there twice.
      try tab.awaitText("main", "dev-4")
      #expect(
        try tab.evaluate(
          "[...document.querySelectorAll('tr.row')].filter((r) => r.textContent.includes('dev-3')"
            + " && r.textContent.includes('session.opened')).length"
        ).int == 1)
    }

    @Test func `a principal signs in, sees what it may, and is refused the rest`() throws {
      let file = try PrincipalsFile([
        ("ops", ["--rights", "read,write,operate"]), ("reader", ["--rights", "read"]),
        ("other", ["--rights", "read,write,operate"]),
      ])
      let lab = try Lab(workers: [
        ["--auth", file.path, "--admin-auth", "ops", "--admin-auth", "reader"]
      ])
      defer { lab.stop() }
      try fill(try file.connect(lab.worker, as: "ops"))
      let browser = try Browser()
      let tab = try browser.open("http://127.0.0.1:\(lab.worker.adminPort)/")
      func signIn(_ name: String) throws {
        try eventually("the question", within: .seconds(20)) {
          try tab.evaluate("document.getElementById('sign-in')?.open").bool == true
        }
        _ = try tab.evaluate(
          "document.getElementById('secret').value = '\(file.secret(name))';"
            + "document.getElementById('sign-in-form').requestSubmit()")
      }
      try signIn("ops")
      try tab.awaitText("main", "scheduling")
      _ = try tab.evaluate("sessionStorage.clear()")
      try tab.reload()
      try signIn("reader")
      try tab.awaitText("main", "forbidden")
      try tab.show("device=dev-1")
      try tab.awaitText("main", "<b>hi</b>")
      try tab.press(button: "Close as failed")
      try tab.click("#confirm-yes")
      try tab.awaitText("#notice", "forbidden")
      _ = try tab.evaluate("sessionStorage.clear()")
      try tab.reload()
      try signIn("other")
      try tab.awaitText("main", "--admin-auth does not name this principal")
    }

    @Test func `the page is accessible by keys and to readers, in light and dark`() throws {
      let lab = try Lab()
      defer { lab.stop() }
      try fill(try lab.connect())
      let browser = try Browser()
      let tab = try open(browser, lab.worker)
      try tab.awaitText("main", "scheduling")
      try tab.key("Tab")
      #expect(try tab.text(":focus") == "Skip to the content")
      try tab.key("Enter")
      #expect(try tab.evaluate("document.activeElement.id").string == "main")
      var path: [String] = []
      for _ in 0..<9 {
        try tab.key("Tab")
        path.append(
          try tab.evaluate("document.activeElement.id || document.activeElement.textContent").string
            ?? "")
      }
      for name in ["Overview", "Locks", "Sessions", "Events", "kind", "words", "Find", "theme"] {
        #expect(path.contains(name), "\(path)")
      }
      try showManyRows(tab)
      // What stands in the address may be anything.
      for (address, part) in [("__proto__", "scheduling"), ("device=%", "Device %")] {
        try tab.show(address)
        try tab.awaitText("main", part)
      }
      let axe = try String(contentsOfFile: Tool.file("axe.min.js"), encoding: .utf8)
      _ = try tab.evaluate("\(axe); 0")
      for theme in ["light", "dark"] {
        try tab.prefer(theme: theme)
        #expect(
          try tab.evaluate("getComputedStyle(document.body).backgroundColor").string
            == (theme == "light" ? "rgb(251, 251, 252)" : "rgb(20, 23, 27)"))
        for (view, part) in [
          ("overview", "scheduling"), ("locks", "dev-1"), ("sessions", "trip"),
          ("events", "Events as"), ("device=dev-1", "<b>hi</b>"),
        ] {
          try tab.show(view)
          try tab.awaitText("main", part)
          #expect(try tab.accessibilityFaults() == "", "\(theme) \(view)")
        }
        try tab.press(button: "Clear the lock")
        #expect(try tab.accessibilityFaults() == "", "\(theme) dialog")
        try tab.key("Escape")
      }
      // The switch goes before what the system prefers.
      try tab.click("#theme")
      #expect(try tab.text("#theme") == "Theme: light")
      #expect(
        try tab.evaluate("getComputedStyle(document.body).backgroundColor").string
          == "rgb(251, 251, 252)")
    }

    /// Of 10,000 rows those in sight are elements, also after a jump and in another order.
    private func showManyRows(_ tab: BrowserTab) throws {
      let script = """
        (() => {
          const table = new DataTable("Rows", [{ key: "at", label: "at", number: true }], null);
          byId("main").append(table.element);
          table.set(Array.from({ length: 10000 }, (_, at) => ({ at })));
          table.sort("at");
          table.sort("at");
          table.scroll.scrollTop = 5000 * DataTable.rowHeight;
          table.draw();
          const rows = [...table.body.querySelectorAll("tr.row")].map((row) => row.textContent);
          table.filter.value = "9999";
          table.arrange();
          const found = table.count.textContent;
          table.element.remove();
          return `${rows.length < 200} ${rows.includes("4999")} ${found}`;
        })()
        """
      #expect(try tab.evaluate(script).string == "true true 1 of 10,000")
    }

    /// Makes the pictures of docs/page.md anew: `UPDATE_DOCS=1 scripts/test --filter PageTests`.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["UPDATE_DOCS"] == "1"))
    func `pictures of the page`() throws {
      let lab = try Lab()
      defer { lab.stop() }
      let client = try lab.connect()
      try fill(client)
      for number in 2..<40 {
        let agent = ["scheduling", "billing", "support"][number % 3]
        expect(try client.request("LOCK dev-\(number) \(agent)"), "OK")
        expect(try client.request("OPEN dev-\(number) user=user-\(number % 7)"), "OK")
      }
      let browser = try Browser()
      let tab = try open(browser, lab.worker)
      try tab.awaitText("main", "support")
      let folder = Project.root.appending(path: "docs/pictures")
      for theme in ["light", "dark"] {
        try tab.prefer(theme: theme)
        let picture = try tab.screenshot(width: 1_160, height: 720)
        try picture.write(to: folder.appending(path: "page-\(theme).png"))
      }
    }
  }
}
