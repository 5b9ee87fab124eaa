// Owns: the attacks on Redis and the connections to it: subscriptions cut, scripts lost, Redis
// killed, notifications off or forged. After each, the checker judges.

import Foundation
import Testing

extension SystemSuites.Deadlines {
  @Suite struct RedisAttacks {
    @Test func `subscriptions that are cut again and again lose nothing`() throws {
      let cluster = try TestCluster()
      defer { cluster.stop() }
      let workload = cluster.workload(.devices(24), "CLIENT KILL TYPE pubsub")
      var cut = 0
      for _ in 0..<10 {
        try workload.awaitDone(40)
        if case .integer(let count) = try cluster.redis.command("CLIENT", "KILL", "TYPE", "pubsub")
        {
          cut += count
        }
      }
      #expect(cut >= 10)
      try cluster.judge(workload)
      try eventually("notifications that arrive again") {
        try cluster.metric("latchkey_notifications_live") == 3
      }
      // Workers mostly find an expired lock before Redis' own expiry cycle does. This key is no
      // lock.
      try cluster.redis.command("SET", "lk:{000}:lock:unknown", "1", "PX", "1")
      try eventually("a notification that arrives") {
        try cluster.metric("latchkey_expiry_notifications_total") > 0
      }
    }

    @Test func `scripts that are lost all the time lose no ending`() throws {
      let cluster = try TestCluster(workers: 2)
      defer { cluster.stop() }
      let workload = cluster.workload(.devices(24), "SCRIPT FLUSH and FUNCTION FLUSH in a loop")
      let isOver = Shared(false)
      defer { isOver.value = true }
      let path = cluster.redis.path
      let flusher = Background {
        let client = try RedisClient(path: path)
        var count = 0
        while !isOver.value {
          try client.command("SCRIPT", "FLUSH")
          try client.command("FUNCTION", "FLUSH")
          count += 1
          pause(ms: 1)
        }
        return count
      }
      try workload.awaitDone(600)
      isOver.value = true
      #expect(try flusher.join() > 20)
      try cluster.judge(workload)
      #expect(try cluster.metric("latchkey_scripts_reloaded_total") > 0)
    }

    @Test func `a Redis that is killed and comes back with its file has lost no ending`() throws {
      let cluster = try TestCluster(appendOnly: true)
      defer { cluster.stop() }
      let workload = cluster.workload(.devices(24), "Redis killed with its append-only file")
      for _ in 0..<2 {
        try workload.awaitDone(200)
        cluster.redis.kill()
        // The held locks expire while no worker has a Redis.
        try TestCluster.awaitDeadlines(workload.plan.ttlMs.upperBound)
        try cluster.redis.start()
      }
      try workload.awaitDone(200)
      try cluster.judge(workload)
    }

    @Test func `a Redis that hangs has lost no ending when it goes on`() throws {
      let cluster = try TestCluster(workers: 2)
      defer { cluster.stop() }
      let workload = cluster.workload(.devices(24), "Redis hanging")
      for _ in 0..<2 {
        try workload.awaitDone(100)
        let unknown = workload.unknownCount
        try cluster.redis.freeze()
        try eventually("a call that Redis does not answer") { workload.unknownCount > unknown }
        cluster.redis.thaw()
      }
      try workload.awaitDone(100)
      try cluster.judge(workload)
    }

    @Test func `without notifications every deadline is still met`() throws {
      let cluster = try TestCluster(workers: 2, redis: [])
      defer { cluster.stop() }
      let workload = cluster.workload(.devices(24), "notifications that are off")
      try workload.awaitDone(400)
      try cluster.judge(workload)
      #expect(try cluster.metric("latchkey_expiry_notifications_total") == 0)
      #expect(try cluster.metric("latchkey_deadlines_met_total", "cause=\"deadline\"") > 0)
      let complaint = "keyspace notifications do not come"
      for worker in cluster.all {
        try eventually("a word of a worker about it") { worker.log.contains(complaint) }
        #expect(try worker.metric("latchkey_notifications_live") == 0)
      }
      try cluster.redis.command("CONFIG", "SET", "notify-keyspace-events", "Ex")
      for worker in cluster.all {
        try eventually("notifications that arrive") {
          try worker.metric("latchkey_notifications_live") == 1
        }
        #expect(worker.log.components(separatedBy: complaint).count == 2, "said more than once")
      }
    }

    @Test func `forged notifications end nothing`() throws {
      let cluster = try TestCluster(workers: 2)
      defer { cluster.stop() }
      let workload = cluster.workload(.devices(24), "forged notifications")
      let isOver = Shared(false)
      defer { isOver.value = true }
      let path = cluster.redis.path
      let forger = Background {
        let client = try RedisClient(path: path)
        let garbage = [
          "", "lk:", "lk:{", "lk:{zzz}:lock:x", "lk:{0a3}:", "other:{0a3}:lock:x",
          "lk:{100}:lock:x", String(repeating: "x", count: 100_000), "lk:{0a3}:lock:\u{0}\n\"",
        ]
        var count = 0
        while !isOver.value {
          for key in try TestCluster.keys("lock:*", client) + garbage {
            try client.command("PUBLISH", "__keyevent@0__:expired", key)
            count += 1
          }
          pause(ms: 1)
        }
        return count
      }
      try workload.awaitDone(600)
      isOver.value = true
      #expect(try forger.join() > 100)
      try cluster.judge(workload)
      #expect(try cluster.metric("latchkey_reaps_total", "cause=\"notification\"") > 0)
    }
  }
}
