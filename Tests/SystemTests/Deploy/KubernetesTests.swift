// The Kubernetes manifests: checked against the schema of two versions, and compared with each
// other and with the program. No cluster runs them here.

import Foundation
import Testing

extension SystemSuites.Deploy {
  @Suite struct Kubernetes {
    private static let folder = "deploy/kubernetes"

    /// The files that are applied.
    private func names() throws -> [String] {
      let file = try #require(try YAML.documents("\(Self.folder)/kustomization.yaml").first)
      return (file["resources"]?.items ?? []).compactMap(\.string)
    }

    private func read(_ name: String) throws -> JSON {
      try #require(try YAML.documents("\(Self.folder)/\(name).yaml").first)
    }

    private func pod() throws -> JSON {
      try #require(try read("deployment").at("spec", "template", "spec"))
    }

    private func container() throws -> JSON { try #require(try pod()["containers"]?.items.first) }

    private func settings() throws -> [String: String] {
      let lines = try Project.text("\(Self.folder)/workers.env").split(separator: "\n")
      let pairs = lines.filter { !$0.hasPrefix("#") }.map { line in
        line.split(separator: "=", maxSplits: 1).map(String.init)
      }
      return Dictionary(uniqueKeysWithValues: pairs.map { ($0[0], $0[1]) })
    }

    /// The oldest version that it is meant for, and the newest that the tool knows.
    @Test(arguments: ["1.27.0", "1.37.0"])
    func `the schema of Kubernetes takes every manifest`(version: String) throws {
      let files = try names().map { Project.root.appending(path: "\(Self.folder)/\($0)").path }
      #expect(files.count >= 6)
      let run = try ToolRun("kubernetes-validate", ["-k", version, "--strict"] + files)
      #expect(run.status == 0 && !run.output.contains("WARN"), "\(run)")
      #expect(run.output.matches(of: /passed for resource/).count == files.count, "\(run)")
    }

    @Test func `all manifests are applied, and all are of one namespace`() throws {
      let place = Project.root.appending(path: Self.folder).path
      let present = try FileManager.default.contentsOfDirectory(atPath: place)
      #expect(Set(present) == Set(try names() + ["kustomization.yaml", "workers.env"]))
      for name in try names() where name != "namespace.yaml" {
        let manifest = try read(String(name.dropLast(5)))
        #expect(manifest.at("metadata", "namespace") == .string("latchkey"), "\(name)")
      }
    }

    @Test func `every selector finds the workers`() throws {
      let labels = try #require(
        try read("deployment").at("spec", "template", "metadata", "labels"))
      #expect(!labels.members.isEmpty)
      for selector in [
        try read("deployment").at("spec", "selector", "matchLabels"),
        try read("service").at("spec", "selector"),
        try read("disruption").at("spec", "selector", "matchLabels"),
        try read("network").at("spec", "podSelector", "matchLabels"),
        try YAML.documents("deploy/prometheus/podmonitor.yaml").first?
          .at("spec", "selector", "matchLabels"),
      ]
        + (try pod()["topologySpreadConstraints"]?.items ?? []).map({
          $0.at("labelSelector", "matchLabels")
        })
      {
        #expect(selector == labels)
      }
      let target = try read("autoscaler").at("spec", "scaleTargetRef", "name")
      #expect(try target == read("deployment").at("metadata", "name"))
    }

    @Test func `ports and settings are the program's`() throws {
      let container = try container()
      var numbers: [String: Int] = [:]
      for port in container["ports"]?.items ?? [] {
        numbers[port["name"]?.string ?? ""] = port["containerPort"]?.int
      }
      let settings = try settings()
      #expect(try ServeFlags().variables.isSuperset(of: settings.keys))
      #expect(settings["LATCHKEY_LISTEN"] == "0.0.0.0:\(numbers["lines"] ?? 0)")
      #expect(settings["LATCHKEY_ADMIN"] == "0.0.0.0:\(numbers["admin"] ?? 0)")
      let named =
        try read("service").all("targetPort") + read("network").all("port")
        + container.all("httpGet").compactMap { $0["port"] }
      #expect(named.count > 4)
      for name in named.compactMap(\.string) { #expect(numbers[name] != nil, "\(name)") }
      #expect(container.at("readinessProbe", "httpGet", "path") == .string("/readyz"))
      #expect(container.at("livenessProbe", "httpGet", "path") == .string("/healthz"))
      #expect(settings["LATCHKEY_HTTP"] == "0.0.0.0:\(numbers["http"] ?? 0)")
      // A change of a setting has another name, and so replaces the pods.
      let config = container["envFrom"]?.items.first?.at("configMapRef", "name")
      let kustomization = try YAML.documents("\(Self.folder)/kustomization.yaml").first
      let generator = kustomization?["configMapGenerator"]?.items.first
      #expect(config != nil && generator?["name"] == config)
      #expect(generator?["envs"]?.items == [.string("workers.env")])
      let scraped = try YAML.documents("deploy/prometheus/podmonitor.yaml").first?
        .at("spec", "podMetricsEndpoints")?.items.first
      #expect(scraped?["port"] == .string("admin") && scraped?["path"] == .string("/metrics"))
      let variables = (container["env"]?.items ?? []).compactMap { $0["name"]?.string }
      #expect(variables.contains("LATCHKEY_REDIS"))
      #expect(try ServeFlags().variables.isSuperset(of: variables))
    }

    @Test func `a pod gets the time that its drain takes`() throws {
      let grace = try #require(try pod()["terminationGracePeriodSeconds"]?.int)
      let command = try container().at("lifecycle", "preStop", "exec", "command")
      let words = (command?.items ?? []).compactMap(\.string)
      let wait = try #require(words.first == "sleep" ? Int(words[1]) : nil)
      let drainMs = try ServeFlags().drainMs(settings())
      #expect(grace * 1_000 > wait * 1_000 + drainMs)
      // The probe says no before the worker stops to accept.
      let probe = try #require(try container()["readinessProbe"])
      let seconds = try #require(probe["periodSeconds"]?.int)
      let failures = try #require(probe["failureThreshold"]?.int)
      let delay = try #require(try settings()["LATCHKEY_DRAIN_DELAY"])
      #expect((ServeFlags.milliseconds(delay[...]) ?? 0) > seconds * failures * 1_000)
    }

    @Test func `the settings that are deployed start a worker`() throws {
      let redis = try RedisServer()
      defer { redis.stop() }
      var environment = try settings()
      environment["LATCHKEY_REDIS"] = redis.url
      let mount = try container()["volumeMounts"]?.items.first?["mountPath"]?.string ?? "none"
      #expect(environment["LATCHKEY_AUTH"] == "\(mount)/principals")
      let principals = try PrincipalsFile([("app", [])])
      environment["LATCHKEY_AUTH"] = principals.path
      let worker = try WorkerProcess(["--http", "127.0.0.1:0"], environment: environment)
      defer { worker.kill() }
      #expect(!worker.log.contains("not known"), "\(worker.log)")
      let client = try principals.connect(worker, as: "app")
      expect(try client.request("LOCK \(Lab.device()) a"), "OK")
    }

    /// What is applied in place of the folder, for other forms of Redis.
    @Test(arguments: ["sentinel", "cluster", "managed"])
    func `the forms of Redis change what is there, by settings that exist`(name: String) throws {
      let file = "deploy/kubernetes-redis/\(name)/kustomization.yaml"
      let kustomization = try #require(try YAML.documents(file).first)
      #expect(kustomization["resources"]?.items == [.string("../../kubernetes")])
      let generator = try #require(kustomization["configMapGenerator"]?.items.first)
      #expect(generator["name"] == .string("latchkey") && generator["behavior"] == .string("merge"))
      let literals = (generator["literals"]?.items ?? []).compactMap(\.string)
      let settings = literals.map { $0.split(separator: "=", maxSplits: 1).map(String.init) }
      #expect(!settings.isEmpty)
      #expect(try ServeFlags().variables.isSuperset(of: settings.map { $0[0] }), "\(settings)")
      // Each patch is of a manifest, and adds where that has a list, or replaces what it has.
      let manifests = try names().map { try read(String($0.dropLast(5))) }
      var mounts: [String] = []
      for patch in kustomization["patches"]?.items ?? [] {
        let kind = patch.at("target", "kind")
        let manifest = try #require(manifests.first { $0["kind"] == kind }, "\(patch)")
        #expect(manifest.at("metadata", "name") == patch.at("target", "name"))
        let text = try #require(patch["patch"]?.string)
        for step in try YAML.documents(text: text).flatMap(\.items) {
          let path = try #require(step["path"]?.string).split(separator: "/").map(String.init)
          let end = step["op"] == .string("add") ? path.dropLast() : path[...]
          #expect(manifest.find(end) != nil, "\(path)")
          if let mount = step.at("value", "mountPath")?.string { mounts.append(mount) }
        }
      }
      for value in settings.map({ $0[1] }) where value.hasPrefix("/") {
        #expect(mounts.contains { value.hasPrefix($0 + "/") }, "\(value)")
      }
      // The URL in its words is one that a worker takes.
      let words = try Project.text(file)
      let url = try #require(words.firstMatch(of: /url='([^']+)'/)?.1)
      #expect(url.contains("\(name == "managed" ? "s-cluster" : name)://"))
      // It is read before the mistake behind it.
      let run = try ProgramRun(["doctor", "--redis", String(url), "--replica-acks", "99"])
      #expect(run.status == 2 && run.errors.contains("--replica-acks takes"), "\(run.errors)")
    }
  }
}
