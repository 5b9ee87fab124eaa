// Owns: the test of a page in a real browser, and of the commands of docs/browser.md.

import Foundation
import Testing

extension SystemSuites {
  @Suite struct BrowserTests {
    /// The page of deploy/browser, for a session of this worker.
    private func url(_ worker: WorkerProcess, _ session: String, _ ticket: String) -> String {
      let given = [
        "http": "http://127.0.0.1:\(worker.httpPort)", "device": "dev-1", "session": session,
        "ticket": ticket,
      ]
      var parts = URLComponents()
      parts.queryItems = given.map { URLQueryItem(name: $0.key, value: $0.value) }
      let page = Project.root.appending(path: "deploy/browser/chat.html").absoluteString
      return "\(page)#\(parts.percentEncodedQuery ?? "")"
    }

    private func shown(_ page: BrowserTab) throws -> String? {
      try page.evaluate("[...document.querySelectorAll('li')].map((i) => i.textContent).join('|')")
        .string
    }

    private func awaitStatus(_ status: String, _ page: BrowserTab) throws {
      try eventually("the status '\(status)'", within: .seconds(20)) {
        try page.evaluate("document.getElementById('status')?.textContent").string == status
      }
    }

    private func say(_ text: String, _ page: BrowserTab) throws {
      _ = try page.evaluate(
        "document.getElementById('text').value = '\(text)';"
          + "document.getElementById('form').requestSubmit()")
    }

    @Test func `a page from a file holds a conversation by ticket, and another tab sees it`() throws
    {
      let flags = ["--http", "127.0.0.1:0", "--request-timeout", "10s"]
      let lab = try Lab(workers: [flags + ["--http-origins", "null"], flags])
      defer { lab.stop() }
      let agent = try lab.connect()
      let session = try agent.request("OPEN dev-1").string("session")
      let ticket = try agent.request("TICKET dev-1 role=write ttl=1h").string("ticket")
      let browser = try Browser()
      let address = url(lab.worker, session, ticket)
      let tabs = [try browser.open(address), try browser.open(address)]
      for tab in tabs { try awaitStatus("connected", tab) }
      #expect(try tabs[0].evaluate("self.origin").string == "null")
      // Each message is at both at once: neither asks again by itself.
      var expected = "user: hello"
      try say("hello", tabs[0])
      for tab in tabs { try eventually("the message") { try shown(tab) == expected } }
      expect(try agent.request("SAY dev-1 {\"role\":\"agent\",\"text\":\"<b>hi</b>\"}"), "OK")
      expected += "|agent: <b>hi</b>"
      for tab in tabs { try eventually("the answer") { try shown(tab) == expected } }
      #expect(
        try agent.request("HISTORY dev-1").raw.contains("{\"role\":\"user\",\"text\":\"hello\"}"))
      // A ticket to read says nothing; a page of an origin that is not listed reaches nothing.
      let reads = try agent.request("TICKET dev-1").string("ticket")
      let reader = try browser.open(url(lab.worker, session, reads))
      try eventually("what was said") { try shown(reader) == expected }
      try say("no", reader)
      try eventually("the refusal") {
        try reader.evaluate("document.getElementById('status')?.textContent").string?
          .contains("write") == true
      }
      let stranger = try browser.open(url(lab.workers[1], session, ticket))
      try awaitStatus("the ticket is not accepted", stranger)
      expect(try agent.request("UNSHARE dev-1 tickets=all"), "OK")
      for tab in tabs { try awaitStatus("the ticket has ended", tab) }
      #expect(try shown(tabs[1]) == expected)
    }
  }
}
