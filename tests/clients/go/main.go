// A session's life through go-redis. Arguments: host port protocol password.
package main

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"
)

var ctx = context.Background()

func canonical(value interface{}) interface{} {
	switch v := value.(type) {
	case error:
		return "error: " + v.Error()
	case []byte:
		return canonical(string(v))
	case string:
		if len(v) > 2000 {
			sum := sha1.Sum([]byte(v))
			return "sha1 " + hex.EncodeToString(sum[:])
		}
		if !utf8.ValidString(v) {
			return "bytes " + hex.EncodeToString([]byte(v))
		}
		return v
	case []interface{}:
		made := make([]interface{}, len(v))
		for at := range v {
			made[at] = canonical(v[at])
		}
		return made
	case map[string]string:
		made := map[string]interface{}{}
		for key, item := range v {
			made[key] = canonical(item)
		}
		return made
	case map[interface{}]interface{}:
		made := map[string]interface{}{}
		for key, item := range v {
			made[fmt.Sprint(key)] = canonical(item)
		}
		return made
	}
	return value
}

// note prints one step; values are a result and its error, as go-redis returns them.
func note(step string, values ...interface{}) {
	var made interface{}
	shown := []interface{}{}
	for _, value := range values {
		if value == nil {
			continue
		}
		shown = append(shown, canonical(value))
	}
	made = shown
	line, err := json.Marshal(map[string]interface{}{"step": step, "value": made})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

func results(commands []redis.Cmder, err error) []interface{} {
	seen := []interface{}{}
	for _, command := range commands {
		text := command.String()
		if at := strings.Index(text, ": "); at >= 0 {
			text = text[at+2:]
		}
		seen = append(seen, text)
	}
	if err != nil {
		seen = append(seen, err.Error())
	}
	return seen
}

func near(got, expected time.Duration) bool {
	return got > expected-3*time.Second && got <= expected
}

func sorted(values []string, err error) []interface{} {
	sort.Strings(values)
	made := []interface{}{}
	for _, value := range values {
		made = append(made, value)
	}
	if err != nil {
		made = append(made, err)
	}
	return made
}

func main() {
	host, port, password := os.Args[1], os.Args[2], os.Args[4]
	protocol, _ := strconv.Atoi(os.Args[3])
	options := func(user, secret string) *redis.Options {
		return &redis.Options{Addr: host + ":" + port, Protocol: protocol, Username: user, Password: secret, ClientName: "go", MaxRetries: -1}
	}
	if password != "" {
		for _, secret := range []string{"", "wrong", password} {
			value, err := redis.NewClient(options("", secret)).Get(ctx, "missing").Result()
			note("password "+secret, value, err)
		}
		value, err := redis.NewClient(options("nobody", password)).Get(ctx, "missing").Result()
		note("user", value, err)
		note("end")
		return
	}

	r, other := redis.NewClient(options("", "")), redis.NewClient(options("", ""))
	all := make([]byte, 256)
	for at := range all {
		all[at] = byte(at)
	}
	binary := string(all)
	big := strings.Repeat(binary, 5*4096)
	show := func(step string, command redis.Cmder) { note(step, results([]redis.Cmder{command}, nil)...) }

	show("ping", r.Ping(ctx))
	show("create", r.Set(ctx, "session:1", binary, 1000*time.Second))
	show("create twice", r.SetNX(ctx, "session:1", "x", 1000*time.Second))
	value, err := r.Get(ctx, "session:1").Result()
	note("read", value, err)
	note("ttl", near(r.TTL(ctx, "session:1").Val(), 1000*time.Second))
	show("slide", r.Expire(ctx, "session:1", 2000*time.Second))
	note("slid", near(r.TTL(ctx, "session:1").Val(), 2000*time.Second))
	value, err = r.GetEx(ctx, "session:1", 3000*time.Second).Result()
	note("getex", value, err, near(r.TTL(ctx, "session:1").Val(), 3000*time.Second))
	show("keep ttl", r.Set(ctx, "session:1", "new", redis.KeepTTL))
	show("milliseconds", r.Set(ctx, "session:1", "new", 1500500*time.Millisecond))
	show("gt", r.ExpireGT(ctx, "session:1", 10*time.Second))
	show("nx", r.ExpireNX(ctx, "session:1", 10*time.Second))
	show("moment", r.PExpireAt(ctx, "session:1", time.UnixMilli(4102444800123)))
	show("moment read", r.PExpireTime(ctx, "session:1"))
	show("persist", r.Persist(ctx, "session:1"))
	show("no ttl", r.TTL(ctx, "session:1"))
	show("missing ttl", r.PTTL(ctx, "nobody"))
	value, err = r.Get(ctx, "nobody").Result()
	note("missing", value, err, errors.Is(err, redis.Nil))
	show("mget", r.MGet(ctx, "session:1", "nobody"))
	value, err = r.SetArgs(ctx, "session:1", "newer", redis.SetArgs{Get: true, KeepTTL: true}).Result()
	note("set get", value, err)

	show("hash", r.HSet(ctx, "h", "user", "anna", "cart", binary, "count", 1, "empty", ""))
	hash, err := r.HGetAll(ctx, "h").Result()
	note("hash all", hash, err)
	hash, err = r.HGetAll(ctx, "nobody").Result()
	note("hash none", hash, err)
	show("hash mget", r.HMGet(ctx, "h", "user", "nobody"))
	show("hash incr", r.HIncrBy(ctx, "h", "count", 41))
	show("hash incr float", r.HIncrByFloat(ctx, "h", "count", 0.5))
	show("hash del", r.HDel(ctx, "h", "cart", "nobody"))
	show("hash exists", r.HExists(ctx, "h", "user"))
	show("hash setnx", r.HSetNX(ctx, "h", "user", "x"))
	show("hash len", r.HLen(ctx, "h"))
	note("hash keys", sorted(r.HKeys(ctx, "h").Result())...)
	note("hash vals", sorted(r.HVals(ctx, "h").Result())...)
	fields, _, err := r.HScan(ctx, "h", 0, "*", 100).Result()
	note("hash scan", sorted(fields, err)...)
	random, err := r.HRandFieldWithValues(ctx, "h", -3).Result()
	note("hash random", len(random), err)
	random, err = r.HRandFieldWithValues(ctx, "nobody", 3).Result()
	note("hash random none", len(random), err)

	note("transaction", results(r.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "a", 1, 0)
		p.Incr(ctx, "a")
		p.HGetAll(ctx, "nobody")
		p.Get(ctx, "nobody")
		p.Expire(ctx, "a", 100*time.Second)
		return nil
	}))...)
	note("transaction with error", results(r.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "b", "x", 0)
		p.Incr(ctx, "b")
		p.Get(ctx, "b")
		return nil
	}))...)
	note("transaction aborted by error", results(r.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "b", "y", 0)
		p.Do(ctx, "GET")
		return nil
	}))...)
	note("pipeline", results(r.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "p", 1, 0)
		p.HGet(ctx, "p", "f")
		p.Incr(ctx, "p")
		return nil
	}))...)
	for _, disturbed := range []bool{false, true} {
		err := r.Watch(ctx, func(tx *redis.Tx) error {
			number, err := tx.Get(ctx, "a").Int()
			if err != nil {
				return err
			}
			if disturbed {
				other.Set(ctx, "a", 100, 0)
			}
			_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.Set(ctx, "a", number+1, 0)
				return nil
			})
			return err
		}, "a")
		note(fmt.Sprintf("watch, disturbed %v", disturbed), err, errors.Is(err, redis.TxFailedErr))
	}
	show("watch result", r.Get(ctx, "a"))

	r.Set(ctx, "soon", "v", 40*time.Millisecond)
	for end := time.Now().Add(5 * time.Second); r.Exists(ctx, "soon").Val() != 0; {
		if time.Now().After(end) {
			panic("the key did not expire")
		}
	}
	show("expired", r.TTL(ctx, "soon"))
	show("delete", r.Del(ctx, "session:1", "nobody"))
	show("deleted", r.Exists(ctx, "session:1"))
	show("unlink", r.Unlink(ctx, "h"))

	_, err = r.Pipelined(ctx, func(p redis.Pipeliner) error {
		for n := 0; n < 400; n++ {
			p.SetEx(ctx, fmt.Sprintf("scan:%d", n), n, 1000*time.Second)
		}
		return nil
	})
	note("many", err)
	found := map[string]bool{}
	for scan := r.Scan(ctx, 0, "scan:*", 30).Iterator(); scan.Next(ctx); {
		found[scan.Val()] = true
	}
	note("scan", len(found), found["scan:0"], found["scan:399"])
	keys, _, err := r.ScanType(ctx, 0, "", 10000, "hash").Result()
	note("scan type", len(keys), err)
	show("dbsize", r.DBSize(ctx))

	show("big", r.Set(ctx, "big", big, 0))
	value, err = r.Get(ctx, "big").Result()
	note("big read", value == big, len(value), err)

	show("wrong type", r.HGet(ctx, "big", "f"))
	show("no integer", r.Incr(ctx, "big"))
	show("unknown", r.Do(ctx, "NOSUCH", "a", "b"))
	show("arity", r.Do(ctx, "GET"))
	show("bad expiry", r.Do(ctx, "SET", "k", "v", "EX", "-1"))
	show("rename missing", r.Rename(ctx, "nobody", "x"))
	show("float", r.IncrByFloat(ctx, "f", 1.25))
	show("name", r.ClientGetName(ctx))
	show("encoding", r.ObjectEncoding(ctx, "f"))
	show("config", r.ConfigGet(ctx, "maxmemory"))
	note("info", strings.Contains(r.Info(ctx, "replication").Val(), "role:master"))
	commands, err := r.Command(ctx).Result()
	note("command", commands["get"].Arity, commands["hset"].Arity, err)
	note("time", time.Since(r.Time(ctx).Val()) < time.Minute)
	database := options("", "")
	database.DB = 3
	show("database", redis.NewClient(database).DBSize(ctx))
	database.DB = 99
	show("database beyond", redis.NewClient(database).DBSize(ctx))
	show("flush", r.FlushAll(ctx))
	note("end")
}
