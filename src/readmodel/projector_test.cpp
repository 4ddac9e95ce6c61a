#include "readmodel/dead_letters.hpp"
#include "readmodel/queries.hpp"
#include "readmodel/session.hpp"
#include "readmodel/test_world.hpp"
#include "readmodel/views.hpp"

namespace immortal::readmodel {
namespace {

using testing::eventually;
using testing::story;
using testing::world;
using namespace std::chrono_literals;

class projector_test : public world {};

TEST_F(projector_test, rows_equal_the_fold_of_a_random_history) {
    story_.act(400);
    project();
    expect_clean();
    EXPECT_NE(sql("SELECT count(*) FROM cultivation_records WHERE status = 'completed'"), "0");
    EXPECT_EQ(sql("SELECT count(*) FROM players"), std::to_string(story_.ids().size()));
}

TEST_F(projector_test, follows_the_log_live) {
    ASSERT_TRUE(start());
    for (int i = 0; i < 20; ++i) {
        story_.act(5);
        catch_up();
    }
    EXPECT_EQ(worker_->lag(), 0u);
    stop();
    expect_clean();
}

TEST_F(projector_test, any_batch_size_and_any_restart_give_the_same_rows) {
    story_.act(200);
    project();
    const std::string rows = dump();
    for (const std::size_t size : {1u, 7u, 64u}) {
        auto settings = quick();
        settings.batch_events_max = size;
        settings.folds_max = 2;
        const auto done = engine_.run(rebuild(engine_.executor(), parts(), settings));
        ASSERT_TRUE(done) << done.error().message;
        EXPECT_EQ(dump(), rows) << "batches of " << size;
    }
}

TEST_F(projector_test, rebuild_equals_live) {
    ASSERT_TRUE(start());
    for (int i = 0; i < 30; ++i) {
        story_.act(10);
        catch_up();
    }
    stop();
    const std::string live = dump();
    std::uint64_t reports = 0;
    const auto done = engine_.run(rebuild(engine_.executor(), parts(), quick("rebuild"),
                                          [&](const rebuild_progress&) { ++reports; }));
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(dump(), live);
    EXPECT_GT(reports, 0u);
    EXPECT_GT(done->events, 0u);
}

// Each step of the projector fails at its 1st, 2nd, ... time: the rows come out the same.
TEST_F(projector_test, exactly_once_whatever_step_fails) {
    story_.act(60);
    for (const std::string step : {"commit", "committed", "resolve", "read"}) {
        for (int nth = 1; nth <= 4; ++nth) {
            SCOPED_TRACE(step + " fails at time " + std::to_string(nth));
            story_.act(15);
            auto settings = quick();
            settings.batch_events_max = 8;
            int count = 0;
            const step_hook hook = [&](const char* name) {
                // `resolve` is reached only after an unknown outcome
                if (step == "resolve" && std::string_view(name) == "committed") {
                    return false;
                }
                return std::string_view(name) != step || ++count != nth;
            };
            if (step == "resolve") {
                settings.batch_events_max = 4096;
            }
            ASSERT_TRUE(start(settings, hook));
            catch_up();
            stop();
            expect_clean();
        }
    }
}

TEST_F(projector_test, survives_the_death_of_its_backends) {
    auto settings = quick();
    settings.batch_events_max = 16;
    ASSERT_TRUE(start(settings));
    for (int i = 0; i < 12; ++i) {
        story_.act(30);
        sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()");
    }
    catch_up();
    stop();
    expect_clean();
}

// What a crash of PostgreSQL does to transactions that did not wait for the disk: rows and
// checkpoint are those of a while ago, together.
TEST_F(projector_test, goes_back_with_postgresql) {
    story_.act(150);
    ASSERT_TRUE(start());
    catch_up();
    sql("DO $$ DECLARE t TEXT; BEGIN FOREACH t IN ARRAY ARRAY['players', 'player_techniques', "
        "'cultivation_records', 'player_statistics_totals', 'due_commands'] LOOP "
        "EXECUTE format('CREATE TABLE old_%s AS TABLE %I', t, t); END LOOP; END $$");
    sql("CREATE TABLE old_checkpoints AS TABLE projection_checkpoints");
    story_.act(100);
    catch_up();
    const auto seen = *store_->head();
    sql("BEGIN; LOCK TABLE projection_checkpoints; "
        "DO $$ DECLARE t TEXT; c TEXT; BEGIN FOREACH t IN ARRAY ARRAY['players', "
        "'player_techniques', 'cultivation_records', 'player_statistics_totals', 'due_commands'] "
        "LOOP SELECT string_agg(quote_ident(column_name), ', ') INTO c FROM "
        "information_schema.columns WHERE table_name = t AND is_generated = 'NEVER'; "
        "EXECUTE format('TRUNCATE %I', t); "
        "EXECUTE format('INSERT INTO %I (%s) SELECT %s FROM old_%s', t, c, c, t); "
        "END LOOP; END $$; "
        "UPDATE projection_checkpoints p SET position = o.position FROM old_checkpoints o "
        "WHERE o.partition = p.partition; COMMIT");
    queries rows(*db_, *store_);
    views served(rows, applied_, *store_, nullptr, clock_, {50ms, 1s});
    for (const base::uuid id : story_.ids()) { // never older than asked for, noticed or not
        const auto found = engine_.run(served.player(id, seen));
        EXPECT_TRUE(found ? found->as_of >= seen : found.error().code == base::errc::behind);
    }
    story_.act(20);
    EXPECT_TRUE(eventually([&] {
        return sql("SELECT min(position) FROM projection_checkpoints") ==
               std::to_string(store_->head()->value);
    }));
    catch_up();
    stop();
    expect_clean();
}

TEST_F(projector_test, a_lost_lease_writes_nothing) {
    story_.act(30);
    ASSERT_TRUE(start());
    catch_up();
    // Somebody else takes all partitions for a while.
    sql("UPDATE projection_checkpoints SET lease_owner = 'other', lease_epoch = lease_epoch + 1, "
        "lease_until = now() + interval '1 hour'");
    const std::string before = dump();
    story_.act(30);
    EXPECT_TRUE(eventually([&] {
        return metrics_.text().find("immortal_readmodel_retries_total 0") == std::string::npos;
    }));
    EXPECT_EQ(dump(), before);
    sql("UPDATE projection_checkpoints SET lease_until = now()");
    catch_up();
    stop();
    expect_clean();
}

TEST_F(projector_test, a_paused_writer_is_fenced_off) {
    story_.act(20);
    lease_request request{"first", store_->identity(), 60s};
    const auto mine = engine_.run(acquire_leases(*db_, request)).value();
    request.owner = "second";
    request.take_over = true;
    ASSERT_EQ(engine_.run(acquire_leases(*db_, request)).value().size(), partition_count);
    prepared_batch batch;
    batch.to = base::position{1000};
    batch.statistics.push_back({story_.ids().front(), 1, 1, 1, 1, 1, 1, {5}, {5}});
    const auto done = engine_.run(db_->run_all(statements_of(batch, mine, 1000ms)));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, base::errc::conflict);
    EXPECT_EQ(sql("SELECT count(*) FROM player_statistics_totals"), "0");
    EXPECT_EQ(engine_.run(read_fence(*db_, mine, batch.to)).value(), fence_state::lost);
}

TEST_F(projector_test, two_processes_share_the_partitions) {
    auto other_db = open_database();
    progress other_applied;
    auto settings = quick("left");
    settings.policy = lease_policy::respect;
    settings.partitions_max = 8;
    ASSERT_TRUE(start(settings));
    settings.name = "right";
    projector second(
        engine_.executor(),
        {*other_db, *store_, game::catalog::builtin(), other_applied, nullptr, clock_, metrics_},
        settings);
    ASSERT_TRUE(engine_.run(second.start()));
    checkpoint_poller poller(engine_.executor(), *db_, applied_, store_->identity());
    poller.start();
    story_.act(200);
    catch_up();
    EXPECT_EQ(sql("SELECT count(DISTINCT lease_owner) FROM projection_checkpoints"), "2");
    engine_.run(poller.stop());
    engine_.run(second.stop());
    stop();
    engine_.run(other_db->stop());
    expect_clean();
}

TEST_F(projector_test, a_poison_event_parks_its_owner_alone) {
    story_.act(60);
    const base::uuid victim = story_.ids().front();
    story_.append_raw(game::player::stream_of(victim), "PlayerEnergyChanged", "{\"broken\":");
    const auto poison = *store_->head();
    story_.act(100);
    project();
    const auto letters = engine_.run(list_dead_letters(*db_)).value();
    ASSERT_EQ(letters.size(), 1u);
    EXPECT_EQ(letters[0].owner, victim);
    EXPECT_EQ(letters[0].position, poison);
    EXPECT_EQ(letters[0].state, "parked");
    const check_report report = check_all();
    EXPECT_EQ(report.differences, 0u) << base::encode_text(report);
    EXPECT_EQ(report.parked, 1u);

    // The same by a rebuild, in other batches.
    const std::string rows = dump();
    auto small = quick();
    small.batch_events_max = 3;
    ASSERT_TRUE(engine_.run(rebuild(engine_.executor(), parts(), small)));
    EXPECT_EQ(dump(), rows);

    // A retry fails again; a skip makes the owner whole, without the event, for ever.
    ASSERT_TRUE(start());
    ASSERT_TRUE(engine_.run(retry_dead_letter(*db_, victim)));
    clock_.advance(5s);
    EXPECT_TRUE(eventually([&] {
        clock_.advance(1s);
        return sql("SELECT state FROM dead_letters") == "parked";
    }));
    ASSERT_TRUE(engine_.run(skip_dead_letter(*db_, victim)));
    EXPECT_TRUE(eventually([&] {
        clock_.advance(1s);
        return sql("SELECT state FROM dead_letters") == "skipped";
    }));
    story_.act(20);
    catch_up();
    stop();
    expect_clean();
    const std::string skipped = dump();
    ASSERT_TRUE(engine_.run(rebuild(engine_.executor(), parts(), small)));
    EXPECT_EQ(dump(), skipped);
}

TEST_F(projector_test, rows_that_sql_refuses_park_their_owner_alone) {
    story_.act(40);
    const base::uuid victim = story_.create_player(std::string(80, 'x')); // the column holds 50
    story_.forget(victim);
    story_.act(60);
    project();
    EXPECT_EQ(sql("SELECT owner FROM dead_letters WHERE state = 'parked'"), victim.text());
    EXPECT_EQ(sql("SELECT count(*) FROM dead_letters"), "1");
    const check_report report = check_all();
    EXPECT_EQ(report.differences, 0u) << base::encode_text(report);
    const std::string rows = dump();
    ASSERT_TRUE(engine_.run(rebuild(engine_.executor(), parts(), quick())));
    EXPECT_EQ(dump(), rows);
}

TEST_F(projector_test, refuses_another_log_and_a_place_beyond_the_head) {
    story_.act(20);
    project();
    const auto own = std::move(store_);
    store_ = eventstore::make_memory_store(clock_);
    auto other = start();
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, base::errc::mismatch);
    EXPECT_NE(other.error().message.find("immortal rebuild"), std::string::npos);
    queries foreign(*db_, *store_);
    EXPECT_EQ(engine_.run(foreign.player(story_.ids().front())).error().code, base::errc::mismatch);
    EXPECT_EQ(check_all().differences, 1u);
    worker_.reset();
    store_ = eventstore::make_memory_store(clock_);
    sql("UPDATE projection_checkpoints SET log_id = NULL, log_epoch = NULL");
    auto beyond = start();
    ASSERT_FALSE(beyond);
    EXPECT_NE(beyond.error().message.find("immortal rebuild"), std::string::npos);
    worker_.reset();
}

TEST_F(projector_test, a_session_stands_in_the_partition_of_its_month) {
    for (int month = 0; month < 4; ++month) {
        story_.act(60);
        clock_.advance(std::chrono::days(31));
    }
    project();
    EXPECT_EQ(sql("SELECT count(*) FROM cultivation_records_default"), "0");
    EXPECT_EQ(sql("SELECT count(DISTINCT tableoid) >= 3 FROM cultivation_records"), "t");
    EXPECT_EQ(sql("SELECT bool_and(tableoid::regclass::text = 'cultivation_records_' || "
                  "to_char(start_time AT TIME ZONE 'UTC', 'YYYY_MM')) FROM cultivation_records"),
              "t");
    expect_clean();
}

} // namespace
} // namespace immortal::readmodel
