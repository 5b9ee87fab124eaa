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
  }
}
