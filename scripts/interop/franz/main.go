// Command franz is franz-go behind the commands that `walk.py` gives.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var (
	out     = bufio.NewWriter(os.Stdout)
	outLock sync.Mutex
)

func say(fields ...any) {
	outLock.Lock()
	defer outLock.Unlock()
	for i, field := range fields {
		if i > 0 {
			fmt.Fprint(out, "\t")
		}
		fmt.Fprint(out, field)
	}
	fmt.Fprintln(out)
}

func flush() {
	outLock.Lock()
	defer outLock.Unlock()
	out.Flush()
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

func milliseconds(text string) time.Duration {
	return time.Duration(number(text)) * time.Millisecond
}

func main() {
	var err error
	if os.Args[2] == "member" {
		err = member(os.Args[1], os.Args[3], os.Args[4], os.Args[5], milliseconds(os.Args[6]), milliseconds(os.Args[7]), os.Args[8], os.Args[9])
	} else {
		err = admin(os.Args[1])
	}
	flush()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func join(numbers []int32) string {
	slices.Sort(numbers)
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		texts[i] = strconv.Itoa(int(n))
	}
	return strings.Join(texts, ",")
}

// leading is a balancer that says when it runs for the group.
type leading struct{ kgo.GroupBalancer }

func (l leading) MemberBalancer(members []kmsg.JoinGroupResponseMember) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	say("leads")
	return l.GroupBalancer.MemberBalancer(members)
}

func balancers(names string) []kgo.GroupBalancer {
	var chosen []kgo.GroupBalancer
	for _, name := range strings.Split(names, ",") {
		for _, balancer := range []kgo.GroupBalancer{
			kgo.RangeBalancer(), kgo.RoundRobinBalancer(), kgo.StickyBalancer(), kgo.CooperativeStickyBalancer(),
		} {
			if balancer.ProtocolName() == name {
				chosen = append(chosen, leading{balancer})
			}
		}
	}
	return chosen
}

// member is a member of a group until stdin ends.
func member(bootstrap, topic, group, assignors string, pause, session time.Duration, instance, rack string) error {
	var owned []int32
	changed := func(ctx context.Context, client *kgo.Client, added, removed []int32) {
		owned = slices.DeleteFunc(append(owned, added...), func(p int32) bool { return slices.Contains(removed, p) })
		say("owns", join(owned))
		flush()
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.ClientID("franz-go"), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.Balancers(balancers(assignors)...), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.HeartbeatInterval(300 * time.Millisecond), kgo.SessionTimeout(session), kgo.FetchMaxWait(200 * time.Millisecond),
		kgo.OnPartitionsAssigned(func(ctx context.Context, c *kgo.Client, added map[string][]int32) {
			changed(ctx, c, added[topic], nil)
		}),
		kgo.OnPartitionsRevoked(func(ctx context.Context, c *kgo.Client, revoked map[string][]int32) {
			changed(ctx, c, nil, revoked[topic])
		}),
	}
	if instance != "-" {
		options = append(options, kgo.InstanceID(instance))
	}
	if rack != "-" {
		options = append(options, kgo.Rack(rack), kgo.BalanceRacks())
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() { io.Copy(io.Discard, os.Stdin); stop() }()
	for ctx.Err() == nil {
		fetches := client.PollRecords(ctx, 50)
		for _, e := range fetches.Errors() {
			// A session that ended is told, and the client joins again by itself.
			var ended *kgo.ErrGroupSession
			if errors.As(e.Err, &ended) {
				say("session-ended")
			} else if !errors.Is(e.Err, context.Canceled) {
				return fmt.Errorf("partition %d: %w", e.Partition, e.Err)
			}
		}
		fetches.EachRecord(func(r *kgo.Record) {
			key, codec := "null", "-"
			if r.Key != nil {
				key = string(r.Key)
			}
			for _, h := range r.Headers {
				codec = string(h.Value)
			}
			say("record", r.Partition, r.Offset, key, string(r.Value), codec)
		})
		flush()
		// No rebalance happens between a poll and AllowRebalance, so what was polled is committed before it is given up.
		if err := client.CommitUncommittedOffsets(context.Background()); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		client.AllowRebalance()
		if !fetches.Empty() {
			time.Sleep(pause)
		}
	}
	client.CloseAllowingRebalance()
	say("closed")
	return nil
}

// admin takes commands from stdin, one a line.
func admin(bootstrap string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.ClientID("franz-go-admin"))
	if err != nil {
		return err
	}
	defer client.Close()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		ctx, done := context.WithTimeout(context.Background(), time.Minute)
		if err := command(ctx, bootstrap, kadm.NewClient(client), strings.Split(lines.Text(), "\t")); err != nil {
			say("failed", strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			say("ok")
		}
		done()
		flush()
	}
	return lines.Err()
}
