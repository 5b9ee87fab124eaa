// Webhooks against a model of them: random locks, hooks that come, change and go, and a receiver.

import Foundation
import Testing
import struct TestSupport.Seeded

/// A definition of a hook: which events it selects, and the number of the HOOK that gave it.
private struct ModelDefinition: Equatable {
  /// The number in its address.
  let number: Int
  let types: [String]?
  let pattern: String?
  /// How many events there were when it came.
  let from: Int

  func selects(_ event: ModelEvent) -> Bool {
    guard types?.contains(event.type) ?? true else { return false }
    guard let pattern else { return true }
    let parts = pattern.split(separator: "*", maxSplits: 1, omittingEmptySubsequences: false)
    return event.device.hasPrefix(parts[0]) && event.device.hasSuffix(parts[1])
  }
}

private struct ModelEvent {
  let device: String
  let type: String
}

/// A hook from its first HOOK to its UNHOOK.
private struct ModelHook {
  let name: String
  var definitions: [ModelDefinition] = []
  /// Up to here all that it selects was seen to be delivered.
  var settled = 0
  /// How many events there were when it ended; nil while it lives.
  var ended: Int?

  /// The definitions by which an event may be selected: that of its time, and later ones.
  ///
  /// One of these was there when it was read. Of a time before the hook it is the first one.
  func definitions(of place: Int) -> ArraySlice<ModelDefinition> {
    definitions[(definitions.lastIndex { $0.from <= place } ?? 0)...]
  }
}

extension SystemSuites {
  @Suite(.lab(workers: [[], []])) struct HookModel {
    private static let steps = 200

    /// What was done, and what is to be expected of it.
    private final class Run {
      let clients: [LineClient]
      let receiver: HookReceiver
      let devices: [String]
      var random = Seeded("hooks and a model of them")
      var holders: [String: String] = [:]
      var events: [ModelEvent] = []
      /// All hooks that there were, each name's last one at the end.
      var hooks: [ModelHook] = []
      var definitionsCount = 0
      var seen: Set<String> = []

      init() throws {
        clients = [try Lab.current.connect(0), try Lab.current.connect(1)]
        receiver = try HookReceiver()
        devices = ["a.1", "a.2", "b.1", "b.2"].map { Lab.device() + "-" + $0 }
        // Some deliveries fail once, and come again.
        let failed = Shared<Set<String>>([])
        receiver.answer { delivery in
          let key = "\(delivery.headers["request"] ?? "") \(delivery.id)"
          let sum = key.utf8.reduce(UInt32(7)) { $0 &* 31 &+ UInt32($1) }
          let fails = sum % 50 == 0 && failed.update { $0.insert(key).inserted }
          return .status(fails ? 503 : 204)
        }
      }

      private func ask(_ line: String) throws -> Reply {
        let client = clients[Int.random(in: 0..<clients.count, using: &random)]
        let reply = try client.request(line)
        seen.insert("\(line.prefix { $0 != " " }) \(reply.word)")
        return reply
      }

      private func one<Element>(of list: [Element]) -> Element {
        list[Int.random(in: 0..<list.count, using: &random)]
      }

      /// The hook of a name that lives.
      private func place(of name: String) -> Int? {
        hooks.lastIndex { $0.name == name && $0.ended == nil }
      }

      func step() throws {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<6: try hook()
        case 6..<9: try unhook()
        case 9..<13: try list()
        default: try changeLock()
        }
      }

      private func changeLock() throws {
        let (device, agent) = (one(of: devices), one(of: ["x", "y", "z"]))
        let holder = holders[device]
        switch one(of: ["SEIZE", "SEIZE", "CLEAR", "HANDOFF"]) {
        case "CLEAR":
          expect(try ask("CLEAR \(device)"), holder == nil ? "NONE" : "OK")
          if holder != nil { events.append(ModelEvent(device: device, type: "lock.cleared")) }
          holders[device] = nil
        case "HANDOFF":
          guard let holder else { return }
          expect(try ask("HANDOFF \(device) \(holder) \(agent)"), "OK")
          events.append(ModelEvent(device: device, type: "lock.handed_off"))
          holders[device] = agent
        default:
          expect(try ask("SEIZE \(device) \(agent)"), "OK")
          if let holder, holder != agent {
            events.append(ModelEvent(device: device, type: "lock.seized"))
          }
          holders[device] = agent
        }
      }

      // MARK: Hooks

      let names = ["h.1", "h.2", "h.3"]

      private func hook() throws {
        let name = one(of: names)
        let types = one(of: [nil, ["lock.seized"], ["lock.cleared", "lock.handed_off"]])
        let prefix = devices[0].prefix { $0 != "-" }
        let pattern = one(of: [nil, "\(prefix)*", "*.2", "*-a.1"])
        definitionsCount += 1
        let definition = ModelDefinition(
          number: definitionsCount, types: types, pattern: pattern, from: events.count)
        let options =
          (types.map { " types=\($0.joined(separator: ","))" } ?? "")
          + (pattern.map { " devices=\($0)" } ?? "")
        expect(try ask("HOOK \(name) url=\(receiver.url)?n=\(definitionsCount)\(options)"), "OK")
        if let at = place(of: name) {
          hooks[at].definitions.append(definition)
          seen.insert("replaced")
        } else {
          if hooks.contains(where: { $0.name == name }) { seen.insert("made anew") }
          hooks.append(ModelHook(name: name, definitions: [definition]))
        }
      }

      func unhook(_ name: String? = nil) throws {
        let name = name ?? one(of: names)
        let at = place(of: name)
        expect(try ask("UNHOOK \(name)"), at == nil ? "NONE" : "OK")
        if let at { hooks[at].ended = events.count }
      }

      /// Compares what HOOKS shows.
      private func list() throws {
        let reply = try ask("HOOKS")
        let living = hooks.filter { $0.ended == nil }.sorted { $0.name < $1.name }
        let wanted = living.map { hook -> String in
          let latest = hook.definitions[hook.definitions.count - 1]
          let types = latest.types.map { "[\"\($0.joined(separator: "\",\""))\"]" } ?? "null"
          let pattern = latest.pattern.map { "\"\($0)\"" } ?? "null"
          return "\(hook.name) \(types) \(pattern)"
        }
        let shape = /"name":"([^"]+)","url":"[^"]*","types":(null|\[[^\]]*\]),"devices":([^,]+),/
        let shown = reply.raw.matches(of: shape).map { "\($0.1) \($0.2) \($0.3)" }
        #expect(shown == wanted, "\(reply)")
      }

      // MARK: Deliveries

      /// The ids of all events, by their places in the model; the logs have each device's in order.
      func ids() throws -> [String] {
        var logs: [String: [EventRecord]] = [:]
        for device in devices { logs[device] = try clients[0].eventLog(of: [device]).reversed() }
        return try events.map { event in
          guard let found = logs[event.device]?.popLast(), found.type == event.type else {
            throw Failure("the log of \(event.device) is not the model's at a \(event.type)")
          }
          return found.id
        }
      }

      /// Waits until each living hook has delivered what it has to.
      func settle(_ ids: [String]) throws {
        for at in hooks.indices where hooks[at].ended == nil {
          let hook = hooks[at]
          let awaited = ids.indices.dropFirst(hook.settled).filter { place in
            hook.definitions(of: place).allSatisfy { $0.selects(events[place]) }
          }
          try eventually("all of \(hook.name)", within: .seconds(30), every: 20) {
            let taken = deliveries(of: hook)
            return awaited.allSatisfy { taken.contains(ids[$0]) }
          }
          hooks[at].settled = ids.count
        }
      }

      private func deliveries(of hook: ModelHook) -> Set<String> {
        let paths = Set(hook.definitions.map { "POST /in?n=\($0.number) HTTP/1.1" })
        return Set(
          receiver.taken.filter { paths.contains($0.headers["request"] ?? "") }.map(\.id))
      }

      /// Checks that nothing came that no definition of its time selects, nothing twice, and what
      /// is of one device in order.
      func check(_ ids: [String]) throws {
        let places = Dictionary(uniqueKeysWithValues: ids.enumerated().map { ($1, $0) })
        let taken = receiver.taken
        for hook in hooks {
          let byPath = Dictionary(
            uniqueKeysWithValues: hook.definitions.map { ("POST /in?n=\($0.number) HTTP/1.1", $0) })
          var latest: [String: Int] = [:]
          for delivery in taken {
            guard let definition = byPath[delivery.headers["request"] ?? ""] else { continue }
            let subject = try delivery.event["subject"]?.string ?? ""
            // A new hook gets what there was before this run, too.
            guard devices.contains(subject) else { continue }
            let place = try #require(places[delivery.id], "\(delivery.id) is no event")
            let event = events[place]
            let what = "\(hook.name), \(definition), event \(place): \(event)"
            #expect(try delivery.event["type"]?.string == event.type, "\(what)")
            #expect(hook.definitions(of: place).contains { $0.selects(event) }, "\(what)")
            #expect(hook.definitions(of: place).contains(definition), "\(what)")
            #expect(place < hook.ended ?? .max, "\(what)")
            #expect(place > latest[event.device] ?? -1, "\(what) after \(latest)")
            latest[event.device] = place
          }
        }
      }
    }

    @Test func `hooks deliver what their definitions select, once and in order`() throws {
      var rounds = Rounds(1)
      var seen: Set<String> = []
      while rounds.next() {
        let run = try Run()
        defer { run.receiver.stop() }
        for number in 1...Self.steps {
          try run.step()
          if number == Self.steps / 2 { try run.settle(run.ids()) }
        }
        let ids = try run.ids()
        try run.settle(ids)
        for name in run.names { try run.unhook(name) }
        try run.check(ids)
        #expect(ids.count > Self.steps / 3 && !run.receiver.taken.isEmpty)
        seen.formUnion(run.seen)
      }
      let wanted: Set = [
        "HOOK OK", "UNHOOK OK", "HOOKS OK", "SEIZE OK", "CLEAR OK", "HANDOFF OK", "replaced",
      ]
      #expect(wanted.subtracting(seen) == [], "it has shown too little")
    }
  }
}
