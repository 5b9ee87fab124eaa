// The compose file: its parts are held to each other and to the program, and its Redis is started
// as it says. No container engine runs it here.

import Foundation
import Testing

extension SystemSuites.Deploy {
  @Suite struct Compose {
    private func services() throws -> [String: JSON] {
      let file = try #require(try YAML.documents("deploy/compose.yaml").first)
      return file["services"]?.members ?? [:]
    }

    private func environment(_ service: JSON?) -> [String: String] {
      (service?["environment"]?.members ?? [:]).compactMapValues(\.string)
    }

    private func address(_ service: JSON?) -> String {
      service?.at("networks", "latchkey", "ipv4_address")?.string ?? "none"
    }

    @Test func `three workers have settings that exist, and the time that a drain takes`() throws {
      let services = try services()
      let workers = services.filter { $0.key.hasPrefix("worker") }
      #expect(workers.count == 3)
      let flags = try ServeFlags()
      for worker in workers.values {
        let settings = environment(worker)
        #expect(flags.variables.isSuperset(of: settings.keys), "\(settings.keys)")
        #expect(settings["LATCHKEY_REDIS"]?.contains("@\(address(services["redis"])):6379") == true)
        let grace = try #require(worker["stop_grace_period"]?.string)
        #expect(try (ServeFlags.milliseconds(grace[...]) ?? 0) > flags.drainMs(settings))
        let file = try #require(worker.at("build", "dockerfile")?.string)
        #expect(try !Project.text(file).isEmpty)
        #expect(worker["read_only"] == .bool(true))
        let auth = try #require(settings["LATCHKEY_AUTH"])
        #expect(worker["volumes"]?.items == [.string("./principals:\(auth):ro")])
      }
    }

    @Test func `HAProxy gets the workers' addresses, in variables that it reads`() throws {
      let services = try services()
      let settings = environment(services["haproxy"])
      let known = try Project.text("\(Balancer.folder)/haproxy.cfg")
        .matches(of: /presetenv (\w+)/).map { String($0.1) }
      #expect(Set(known).isSuperset(of: settings.keys) && settings.count > 6)
      for number in 1...3 {
        let place = address(services["worker\(number)"])
        #expect(settings["LATCHKEY_WORKER_\(number)"] == "\(place):5282")
        #expect(settings["LATCHKEY_WORKER_\(number)_ADMIN"] == "5283")
      }
      let addresses = services.values.map { address($0) }.filter { $0 != "none" }
      #expect(addresses.count == 4 && Set(addresses).count == 4)
      for volume in services.values.flatMap({ $0["volumes"]?.items ?? [] }) {
        guard let place = volume.string?.split(separator: ":").first, place.hasPrefix("./") else {
          continue
        }
        // The operator makes this one, as the file's first lines say.
        if place == "./principals" { continue }
        let path = Project.root.appending(path: "deploy/\(place.dropFirst(2))").path
        #expect(FileManager.default.fileExists(atPath: path), "\(path)")
      }
    }

    @Test func `its Redis starts by its command, and lets a worker in by its secret`() throws {
      let redis = try #require(try services()["redis"])
      let words = (redis["command"]?.items ?? []).compactMap(\.string)
      try #require(words.count == 3)
      let folder = try Scratch.folder("compose")
      let path = "\(folder)/redis.sock"
      let source = Project.root.appending(path: "deploy/redis").path
      var script = words[2].replacingOccurrences(of: "$$", with: "$")
      for (place, replacement) in [
        ("/tmp/", "\(folder)/"), ("/etc/redis/", "\(source)/"), ("--dir /data", "--dir \(folder)"),
        ("--bind 0.0.0.0", "--port 0 --unixsocket \(path)"),
      ] {
        #expect(script.contains(place))
        script = script.replacingOccurrences(of: place, with: replacement)
      }
      let output = "\(folder)/output"
      let child = try Child(
        ["/bin/\(words[0])", words[1], script], folder: folder, output: output, errors: output,
        environment: ["LATCHKEY_REDIS_SECRET": "5ec2e7"])
      defer { child.end() }
      let stranger = try eventually("an answer of redis-server", within: .seconds(10)) {
        if let ending = child.check() {
          throw Failure("\(ending), see \(output)")
        }
        return try? RedisClient(path: path)
      }
      guard case .error(let text) = try stranger.command("PING") else {
        throw Failure("it accepts clients without a secret")
      }
      #expect(text.hasPrefix("NOAUTH"))
      let worker = try WorkerProcess(["--redis", "unix://latchkey:5ec2e7@\(path)"])
      defer { worker.kill() }
      expect(try worker.connect().request("LOCK \(Lab.device()) a"), "OK")
    }

    /// A file beside compose.yaml, run here: each service's command, at an address of the loopback
    /// network in place of its container's.
    private struct Site {
      let services: [String: JSON]
      let folder: String
      /// In place of `172.30.82.`: every such address is this host.
      let network = "127.\(Int.random(in: 1...250)).\(Int.random(in: 1...250))."

      init(_ file: String) throws {
        let document = try #require(try YAML.documents("deploy/\(file)").first)
        services = document["services"]?.members ?? [:]
        folder = try Scratch.folder("compose")
      }

      func here(_ text: String) -> String {
        text.replacingOccurrences(of: "172.30.82.", with: network)
      }

      /// Starts what a service runs.
      func start(_ name: String) throws -> Child {
        let service = services[name]
        let own = "\(folder)/\(name)"
        try FileManager.default.createDirectory(
          atPath: own, withIntermediateDirectories: true)
        // The one of compose.yaml is not in the file.
        let named = service?.at("networks", "latchkey", "ipv4_address")?.string
        let address = here(named ?? "172.30.82.10")
        let words = (service?["command"]?.items ?? []).compactMap(\.string)
        var script = here(try #require(words.count == 3 ? words[2] : nil))
        let users = Project.root.appending(path: "deploy/redis").path
        let bind = "\"bind \(address)\" \"bind-source-addr \(address)\""
        for (place, replacement) in [
          ("$$", "$"), ("/tmp/", "\(own)/"), ("\"dir /tmp\"", "\"dir \(own)\""),
          ("/data", own), ("/etc/redis/", "\(users)/"), ("\"bind 0.0.0.0\"", bind),
          ("\"port 26379\"", "\"port 26379\" \(bind)"),
        ] { script = script.replacingOccurrences(of: place, with: replacement) }
        var environment = (service?["environment"]?.members ?? [:]).compactMapValues(\.string)
          .mapValues(here)
        environment["LATCHKEY_REDIS_SECRET"] = "5ec2e7"
        let output = "\(own)/output"
        return try Child(
          ["/bin/\(words[0])", words[1], script], folder: own, output: output, errors: output,
          environment: environment)
      }

      /// The URL of the workers.
      func url() throws -> String {
        let text = services["worker1"]?.at("environment", "LATCHKEY_REDIS")?.string ?? ""
        let parts = try #require(text.firstMatch(of: /^(.*)\$\{.*\}(.*)$/))
        return here("\(parts.1)5ec2e7\(parts.2)")
      }
    }

    @Test(
      .enabled(if: Engine.hasFunctions),
      arguments: [
        ("compose.sentinel.yaml", ["redis", "redis2"], "sentinel"),
        ("compose.cluster.yaml", ["redis", "redis2", "redis3", "redis4", "redis5", "redis6"], ""),
      ])
    func `its further files start what they say, and a worker serves from it`(
      file: String, servers: [String], sentinel: String
    ) throws {
      let site = try Site(file)
      var children = try servers.map { try site.start($0) }
      defer { children.forEach { $0.end() } }
      if sentinel.isEmpty {
        // Its nodes have to be there first, as 'depends_on' says.
        let waited = site.services["cluster"]?["depends_on"]?.members ?? [:]
        #expect(Set(waited.keys) == Set(servers))
        for name in servers {
          try eventually("an answer of \(name)") {
            let log = FileManager.default.contents(atPath: "\(site.folder)/\(name)/output")
            return String(decoding: log ?? Data(), as: UTF8.self).contains("Ready to accept")
          }
        }
        let maker = try site.start("cluster")
        defer { maker.end() }
        #expect(try maker.wait("the cluster", within: .seconds(30)) == .exited(0))
      } else {
        children += try (1...3).map { try site.start("\(sentinel)\($0)") }
      }
      let worker = try WorkerProcess(["--redis", site.url()])
      defer { worker.kill() }
      let client = try worker.connect()
      for _ in 0..<4 { expect(try client.request("LOCK \(Lab.device()) a"), "OK") }
      // Nothing of a set of containers stands in two of them.
      let addresses = site.services.values.compactMap {
        $0.at("networks", "latchkey", "ipv4_address")?.string
      }
      #expect(addresses.count >= 4 && Set(addresses).count == addresses.count)
    }
  }
}
