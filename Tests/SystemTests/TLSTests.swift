// Owns: the tests of TLS as users meet it: a worker that its callers reach by TLS, on a Redis that
// it reaches by TLS.

import Foundation
import TestSupport
import Testing

extension SystemSuites {
  @Suite struct TLS {
    /// A Redis that listens by TLS alone, with a password.
    private final class SecureRedis {
      let certificates: Certificates
      let port: Int
      let redis: RedisServer
      let passwordFile: String

      init(wantsCertificates: Bool = false) throws {
        certificates = try Certificates()
        for (name, names) in [
          ("redis", "DNS:localhost"), ("worker", "DNS:localhost,IP:127.0.0.1"),
          ("caller", "DNS:caller"),
        ] { try certificates.make(name, for: names) }
        port = try TestSocket.freePort()
        let path = certificates.path
        redis = try RedisServer(
          .init(extra: [
            "--tls-port", "\(port)", "--tls-cert-file", path("redis.pem"), "--tls-key-file",
            path("redis.key"), "--tls-ca-cert-file", path("authority.pem"), "--tls-auth-clients",
            wantsCertificates ? "yes" : "no",
          ]))
        passwordFile = path("password")
        try setPassword("first")
      }

      /// Gives the user `app` this password, and writes it into the file.
      func setPassword(_ password: String) throws {
        try redis.command(
          "ACL", "SETUSER", "app", "on", "resetpass", ">\(password)", "~*", "&*", "+@all")
        try "\(password)\n".write(toFile: passwordFile, atomically: true, encoding: .utf8)
      }

      var url: String { "rediss://app:@localhost:\(port)" }
      var flags: [String] {
        [
          "--redis", url, "--redis-ca", certificates.authority, "--redis-password-file",
          passwordFile,
        ]
      }
    }

    private static func tlsFlags(_ certificates: Certificates) -> [String] {
      ["--tls-cert", certificates.path("worker.pem"), "--tls-key", certificates.path("worker.key")]
    }

    private func call(_ worker: WorkerProcess, _ words: [String]) throws -> ProgramRun {
      try ProgramRun(["call", "--to", "localhost:\(worker.listenPort)"] + words)
    }

    @Test func `a worker is reached by TLS, and reaches Redis by it`() throws {
      let site = try SecureRedis()
      let worker = try WorkerProcess(site.flags + Self.tlsFlags(site.certificates))
      defer { worker.kill() }
      #expect(worker.readyLine.contains("redis=rediss://localhost:\(site.port)"))
      let trust = ["--tls-ca", site.certificates.authority]
      let granted = try call(worker, trust + ["LOCK", "dev", "a"])
      #expect(granted.status == 0 && granted.output.hasPrefix("OK {\"agent\":\"a\""), "\(granted)")

      for command in ["stats", "locks", "sessions"] {
        let to = ["--to", "localhost:\(worker.listenPort)"]
        let run = try ProgramRun([command] + to + trust)
        #expect(run.status == 0 && !run.output.isEmpty, "\(command): \(run)")
        #expect(try ProgramRun([command] + to + ["--tls"]).status == 3)
      }

      let load = try ProgramRun(
        [
          "load", "--to", "localhost:\(worker.listenPort)", "--conversations", "4", "--duration",
          "500ms", "--think", "10ms",
        ] + trust, within: .seconds(30))
      #expect(load.status == 0, "\(load)")

      // The system's authorities do not know this one.
      let strange = try call(worker, ["--tls", "HOLDER", "dev"])
      #expect(strange.status == 3 && strange.errors.contains("does not verify"), "\(strange)")
      let plain = try LineClient(port: worker.listenPort)
      #expect(
        try plain.request("PING").raw
          == "ERR bad_request this port takes TLS connections only; see latchkey call --tls")
      #expect(plain.isClosed())
      try eventually("the failed handshakes in the log") {
        worker.log.contains("a TLS handshake failed")
      }
      let metrics = try worker.get("/metrics").body
      #expect(metrics.contains(#"latchkey_connections_refused_total{limit="plain"} 1"#))
    }

    @Test func `pipelined requests and large replies come whole and in order`() throws {
      let site = try SecureRedis()
      let worker = try WorkerProcess(site.flags + Self.tlsFlags(site.certificates))
      defer { worker.kill() }
      let text = String(repeating: "x", count: 100_000)
      var lines = ["OPEN dev"] + (0..<20).map { #"SAY dev {"n":\#($0),"t":"\#(text)"}"# }
      lines += (0..<5).map { _ in "HISTORY dev last=20" } + ["QUIT"]
      let run = try ProgramRun(
        command: [
          "openssl", "s_client", "-connect", "localhost:\(worker.listenPort)", "-CAfile",
          site.certificates.authority, "-verify_return_error", "-quiet",
        ], input: lines.joined(separator: "\n") + "\n")
      let replies = run.output.split(separator: "\n")
      #expect(replies.count == 27, "\(run.errors)")
      #expect(
        replies.dropFirst().prefix(20).map { String($0) }
          == (1...20).map { #"OK {"seq":\#($0),"chat":1}"# })
      #expect(replies.dropFirst(21).prefix(5).allSatisfy { $0.utf8.count > 1_000_000 })
      #expect(replies.last == "OK")
    }

    @Test func `callers show their certificates where the worker wants them`() throws {
      let site = try SecureRedis()
      let worker = try WorkerProcess(
        site.flags + Self.tlsFlags(site.certificates)
          + ["--tls-client-ca", site.certificates.authority])
      defer { worker.kill() }
      let trust = ["--tls-ca", site.certificates.authority]
      let unknown = try call(worker, trust + ["PING"])
      #expect(unknown.status == 3, "\(unknown)")
      let own = [
        "--tls-client-cert", site.certificates.path("caller.pem"), "--tls-client-key",
        site.certificates.path("caller.key"),
      ]
      let known = try call(worker, trust + own + ["PING"])
      #expect(known.status == 0 && known.output == "OK\n", "\(known)")
    }

    @Test func `a renewed certificate is shown to new callers, and old ones stay`() throws {
      let site = try SecureRedis()
      let worker = try WorkerProcess(site.flags + Self.tlsFlags(site.certificates))
      defer { worker.kill() }
      let trust = ["--tls-ca", site.certificates.authority]
      let feed = try Child(
        [
          WorkerProcess.binary, "watch", "--to", "localhost:\(worker.listenPort)",
        ] + trust + ["--json"], folder: site.certificates.folder,
        output: site.certificates.path("events"), errors: site.certificates.path("errors"))
      defer { feed.end() }
      try eventually("the subscription") {
        try worker.get("/metrics").body.contains("latchkey_watches 1")
      }
      // The files do not match for a moment: those from before stay.
      let key = try String(contentsOfFile: site.certificates.path("worker.key"), encoding: .utf8)
      try site.certificates.make("worker", for: "DNS:renewed.example")
      let renewed = try String(
        contentsOfFile: site.certificates.path("worker.key"), encoding: .utf8)
      try key.write(
        toFile: site.certificates.path("worker.key"), atomically: true, encoding: .utf8)
      worker.signal(SIGHUP)
      try eventually("the error in the log") {
        worker.log.contains("those from before stay")
      }
      #expect(try call(worker, trust + ["PING"]).status == 0)
      try renewed.write(
        toFile: site.certificates.path("worker.key"), atomically: true, encoding: .utf8)
      worker.signal(SIGHUP)
      try eventually("the new certificate") { worker.log.contains("files of TLS were read again") }
      let late = try call(worker, trust + ["PING"])
      #expect(late.status == 3 && late.errors.contains("does not verify"), "\(late)")
      // The subscriber has gone on.
      let shown = try ProgramRun(command: [
        "/bin/sh", "-c",
        "printf 'LOCK dev a\\nCLEAR dev\\nQUIT\\n' | openssl s_client -quiet -connect "
          + "localhost:\(worker.listenPort) -CAfile \(site.certificates.authority)",
      ])
      #expect(shown.output.contains("OK {\"agent\":\"a\""), "\(shown)")
      try eventually("the event") {
        try String(contentsOfFile: site.certificates.path("events"), encoding: .utf8)
          .contains("lock.cleared")
      }
    }

    @Test func `a changed password of Redis is read at the next connect`() throws {
      let site = try SecureRedis()
      let worker = try WorkerProcess(site.flags)
      defer { worker.kill() }
      let client = try worker.connect()
      expect(try client.request("LOCK dev a"), "OK")
      try site.setPassword("second")
      try site.redis.command("CLIENT", "KILL", "USER", "app")
      try eventually("service with the new password", within: .seconds(10)) {
        try client.request("HOLDER dev").raw.hasPrefix("OK")
      }
    }

    @Test func `a Redis that is not the one of the URL is refused at the start`() throws {
      let site = try SecureRedis(wantsCertificates: true)
      let trust = ["--redis-ca", site.certificates.authority]
      let stranger = try Certificates()
      let own = [
        "--redis-cert", site.certificates.path("worker.pem"), "--redis-key",
        site.certificates.path("worker.key"),
      ]
      let password = ["--redis-password-file", site.passwordFile]
      let here = "rediss://app:@127.0.0.1:\(site.port)"
      let rows: [([String], String)] = [
        (["--redis", here] + trust + own + password, "does not verify"),
        (
          ["--redis", site.url, "--redis-ca", stranger.authority] + own + password,
          "does not verify"
        ),
        (["--redis", site.url] + trust + password, "give --redis-cert and --redis-key"),
        (["--redis", site.url, "--redis-ca", "/none"] + password, "open /none: No such file"),
        (["--redis", site.url] + trust + own + ["--redis-password-file", "/none"], "open /none"),
        (["--redis", "redis://127.0.0.1:1"] + trust, "are for TLS: give --redis rediss://"),
      ]
      for (arguments, reason) in rows {
        let starting = try Starting(arguments)
        #expect(try starting.awaitEnd() != .exited(0))
        #expect(starting.log.contains(reason), "\(arguments): \(starting.log)")
      }
      let worker = try WorkerProcess(["--redis", site.url] + trust + own + password)
      defer { worker.kill() }
      expect(try worker.connect().request("LOCK dev a"), "OK")
      let doctor = try ProgramRun(["doctor", "--redis", site.url] + trust + own + password)
      #expect(doctor.status == 0 && doctor.output.hasSuffix("fit\n"), "\(doctor)")
    }
  }
}
