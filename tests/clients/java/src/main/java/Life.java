import com.google.gson.GsonBuilder;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import redis.clients.jedis.*;
import redis.clients.jedis.exceptions.JedisException;
import redis.clients.jedis.params.*;
import redis.clients.jedis.resps.ScanResult;

/** A session's life through jedis. Arguments: host port protocol password. */
public class Life {
    static final com.google.gson.Gson GSON = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();

    static Object canonical(Object value) {
        if (value instanceof byte[] bytes) {
            return bytes.length > 2000 ? "hash " + Arrays.hashCode(bytes) + " of " + bytes.length
                                       : "bytes " + HexFormat.of().formatHex(bytes);
        }
        if (value instanceof Exception error) return error.getClass().getSimpleName() + ": " + error.getMessage();
        if (value instanceof Set<?> set) return set.stream().map(v -> String.valueOf(canonical(v))).sorted().toList();
        if (value instanceof Map<?, ?> map) {
            Map<String, Object> made = new TreeMap<>();
            map.forEach((key, item) -> made.put(String.valueOf(canonical(key)), canonical(item)));
            return made;
        }
        if (value instanceof List<?> list) {
            List<Object> made = new ArrayList<>();
            for (Object item : list) made.add(canonical(item));
            return made;
        }
        return value;
    }

    static void note(String step, Callable<?> call) {
        Object value;
        try {
            value = call.call();
        } catch (Exception error) {
            value = error;
        }
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("step", step);
        line.put("value", canonical(value));
        System.out.println(GSON.toJson(line));
    }

    static boolean near(long value, long expected) {
        return value > expected - 3 && value <= expected;
    }

    static byte[] b(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    public static void main(String[] arguments) throws Exception {
        HostAndPort place = new HostAndPort(arguments[0], Integer.parseInt(arguments[1]));
        RedisProtocol protocol = arguments[2].equals("3") ? RedisProtocol.RESP3 : RedisProtocol.RESP2;
        String password = arguments.length > 3 ? arguments[3] : "";
        Supplier<DefaultJedisClientConfig.Builder> options =
            () -> DefaultJedisClientConfig.builder().protocol(protocol).clientName("jedis");
        if (!password.isEmpty()) {
            for (String given : new String[] {null, "wrong", password}) {
                note("password " + given, () -> {
                    try (Jedis jedis = new Jedis(place, options.get().password(given).build())) {
                        return jedis.get("missing");
                    }
                });
            }
            note("user", () -> {
                try (Jedis jedis = new Jedis(place, options.get().user("nobody").password(password).build())) {
                    return jedis.get("missing");
                }
            });
            note("end", () -> null);
            return;
        }

        Jedis r = new Jedis(place, options.get().build()), other = new Jedis(place, options.get().build());
        byte[] binary = new byte[256], big = new byte[5 * 1024 * 1024];
        for (int at = 0; at < 256; at++) binary[at] = (byte) at;
        for (int at = 0; at < big.length; at++) big[at] = (byte) at;
        String session = "session:1";

        note("ping", () -> r.ping());
        note("create", () -> r.set(b(session), binary, SetParams.setParams().ex(1000)));
        note("create twice", () -> r.set(session, "x", SetParams.setParams().nx().px(1000)));
        note("read", () -> r.get(b(session)));
        note("ttl", () -> near(r.ttl(session), 1000));
        note("slide", () -> r.expire(session, 2000));
        note("slid", () -> near(r.ttl(session), 2000));
        note("getex", () -> r.getEx(b(session), GetExParams.getExParams().ex(3000)));
        note("getex slid", () -> near(r.ttl(session), 3000));
        note("set get", () -> r.setGet(b(session), binary, SetParams.setParams().keepTtl()));
        note("conditions", () -> List.of(r.expire(session, 10, redis.clients.jedis.args.ExpiryOption.GT),
            r.expire(session, 10, redis.clients.jedis.args.ExpiryOption.NX), r.expire("nobody", 10)));
        note("moment", () -> r.pexpireAt(session, 4102444800123L));
        note("moment read", () -> r.pexpireTime(session));
        note("persist", () -> List.of(r.persist(session), r.ttl(session), r.ttl("nobody")));
        note("missing", () -> Arrays.asList(r.get("nobody"), r.mget("nobody", "nobody"), r.exists("nobody")));

        note("hash", () -> r.hset("h", Map.of("user", "anna", "cart", "full", "count", "1", "empty", "")));
        note("hash binary", () -> r.hset(b("h"), b("bin"), binary));
        note("hash all", () -> r.hgetAll(b("h")).get(b("bin")) != null ? "has bin" : r.hgetAll("h"));
        note("hash all", () -> { r.hdel("h", "bin"); return r.hgetAll("h"); });
        note("hash none", () -> r.hgetAll("nobody"));
        note("hash mget", () -> r.hmget("h", "user", "nobody"));
        note("hash incr", () -> List.of(r.hincrBy("h", "count", 41), r.hincrByFloat("h", "count", 0.5)));
        note("hash del", () -> r.hdel("h", "cart", "nobody"));
        note("hash more", () -> List.of(r.hexists("h", "user"), r.hlen("h"), r.hstrlen("h", "user"), r.hsetnx("h", "user", "x")));
        note("hash keys", () -> new TreeSet<>(r.hkeys("h")));
        note("hash vals", () -> new TreeSet<>(r.hvals("h")));
        note("hash scan", () -> {
            Map<String, String> found = new TreeMap<>();
            r.hscan("h", "0").getResult().forEach(entry -> found.put(entry.getKey(), entry.getValue()));
            return found;
        });
        note("hash random", () -> List.of(r.hrandfieldWithValues("h", -3).size(), r.hrandfield("nobody", 3).size()));

        note("transaction", () -> {
            Transaction t = r.multi();
            t.set("a", "1");
            t.incr("a");
            t.hgetAll("nobody");
            t.get("nobody");
            t.expire("a", 100);
            return t.exec();
        });
        note("transaction with error", () -> {
            Transaction t = r.multi();
            t.set("b", "x");
            t.incr("b");
            t.get("b");
            return t.exec();
        });
        note("discard", () -> {
            Transaction t = r.multi();
            t.set("a", "9");
            return t.discard();
        });
        note("pipeline", () -> {
            Pipeline p = r.pipelined();
            p.set("p", "1");
            p.hget("p", "f");
            p.incr("p");
            return p.syncAndReturnAll();
        });
        for (boolean disturbed : new boolean[] {false, true}) {
            note("watch, disturbed " + disturbed, () -> {
                r.watch("a");
                int value = Integer.parseInt(r.get("a"));
                if (disturbed) other.set("a", "100");
                Transaction t = r.multi();
                t.set("a", String.valueOf(value + 1));
                return t.exec();
            });
        }
        note("watch result", () -> r.get("a"));

        r.psetex("soon", 40, "v");
        for (long end = System.nanoTime() + 5_000_000_000L; r.exists("soon");) {
            if (System.nanoTime() > end) throw new IllegalStateException("the key did not expire");
        }
        note("expired", () -> r.ttl("soon"));
        note("delete", () -> List.of(r.del(session, "nobody"), r.exists(session), r.unlink("h")));

        note("many", () -> {
            Pipeline p = r.pipelined();
            for (int n = 0; n < 400; n++) p.setex("scan:" + n, 1000, String.valueOf(n));
            p.sync();
            return null;
        });
        note("scan", () -> {
            Set<String> found = new TreeSet<>();
            String cursor = "0";
            do {
                ScanResult<String> part = r.scan(cursor, new ScanParams().match("scan:*").count(30));
                found.addAll(part.getResult());
                cursor = part.getCursor();
            } while (!cursor.equals("0"));
            return found;
        });
        note("scan type", () -> r.scan("0", new ScanParams().count(10000), "hash").getResult());
        note("dbsize", () -> r.dbSize());
        note("big", () -> List.of(r.set(b("big"), big), r.strlen("big")));
        note("big read", () -> Arrays.equals(r.get(b("big")), big));

        note("wrong type", () -> r.hget("big", "f"));
        note("no integer", () -> r.incr("big"));
        note("arity", () -> r.sendCommand(Protocol.Command.GET));
        note("unknown", () -> r.sendCommand(() -> b("NOSUCH"), "a", "b"));
        note("bad expiry", () -> r.setex("k", -1, "v"));
        note("rename missing", () -> r.rename("nobody", "x"));
        note("counters", () -> List.of(r.incrBy("i", 5), r.decr("i"), r.incrByFloat("f", 1.25)));
        note("name", () -> r.clientGetname());
        note("client info", () -> r.clientInfo().contains("name=jedis"));
        note("encoding", () -> List.of(r.objectEncoding("i"), r.type("i")));
        note("config", () -> r.configGet("maxmemory"));
        note("info", () -> r.info("replication").contains("role:master"));
        note("time", () -> r.time().size());
        note("select", () -> List.of(r.select(3), r.dbSize()));
        note("select beyond", () -> r.select(99));
        note("pooled", () -> {
            try (JedisPooled pool = new JedisPooled(place, options.get().build())) {
                return List.of(pool.set("k", "v"), pool.get("k"));
            }
        });
        note("flush", () -> r.flushAll());
        note("end", () -> null);
    }
}
