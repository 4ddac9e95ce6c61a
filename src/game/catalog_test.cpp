#include "game/catalog.hpp"
#include "game/rules.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace immortal::game {

std::span<const base::embedded_file> embedded_catalog();

namespace {

using testing::HasSubstr;

// The built-in files with one text replaced.
class changed_catalog {
public:
    changed_catalog() {
        for (const auto& file : embedded_catalog()) {
            texts_[std::string(file.name)] = std::string(file.text);
        }
    }
    changed_catalog& replace(const std::string& file, const std::string& from,
                             const std::string& to) {
        std::string& text = texts_[file];
        const auto at = text.find(from);
        EXPECT_NE(at, std::string::npos) << from;
        text.replace(at, from.size(), to);
        return *this;
    }
    changed_catalog& remove(const std::string& file) {
        texts_.erase(file);
        return *this;
    }
    [[nodiscard]] base::result<catalog> load() const {
        std::vector<base::embedded_file> files;
        for (const auto& [name, text] : texts_) {
            files.push_back({name, text});
        }
        return catalog::load(files);
    }
    [[nodiscard]] std::string mistake() const {
        const auto out = load();
        EXPECT_FALSE(out.has_value());
        return out ? std::string() : out.error().message;
    }

private:
    std::map<std::string, std::string> texts_;
};

TEST(catalog, is_built_in_and_complete) {
    const auto loaded = catalog::load(embedded_catalog());
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    EXPECT_GE(loaded->techniques().size(), 20u);
    EXPECT_GE(loaded->items().size(), 20u);
    EXPECT_GE(loaded->monsters().size(), 8u);
    std::vector<std::string> names;
    for (const realm& r : loaded->realms()) {
        names.push_back(r.name.zh);
    }
    EXPECT_THAT(names, testing::ElementsAre("练气期", "筑基期", "金丹期", "元婴期", "化神期",
                                            "炼虚期", "合体期", "大乘期", "渡劫期"));
    EXPECT_EQ(loaded->version(), catalog::builtin().version());
    EXPECT_EQ(loaded->version().size(), 32u);
}

TEST(catalog, finds_by_id) {
    const catalog& data = catalog::builtin();
    ASSERT_NE(data.find_technique("basic_qi_gathering"), nullptr);
    EXPECT_EQ(data.find_technique("basic_qi_gathering")->name.zh, "引气诀");
    EXPECT_EQ(data.find_technique("nothing"), nullptr);
    ASSERT_NE(data.find_location("newbie_village"), nullptr);
    ASSERT_NE(data.find_item("qi_pill"), nullptr);
    ASSERT_NE(data.find_monster("demon_wolf"), nullptr);
    EXPECT_EQ(data.realm_index("金丹期"), 2u);
    EXPECT_EQ(data.realm_index("?"), catalog::npos);
}

TEST(catalog, experience_grows_with_every_level) {
    const catalog& data = catalog::builtin();
    EXPECT_EQ(data.experience_at(1), 0);
    for (std::int32_t level = 2; level <= data.level_max(); ++level) {
        EXPECT_GT(data.experience_at(level), data.experience_at(level - 1));
    }
    EXPECT_LT(data.experience_at(data.level_max()), amount_max);
}

TEST(catalog, every_cultivation_technique_can_be_learned_on_the_way_up) {
    const catalog& data = catalog::builtin();
    for (const technique& t : data.techniques()) {
        EXPECT_LE(t.level_requirement, data.level_max()) << t.technique_id;
        if (t.realm_requirement) {
            EXPECT_GE(data.find_realm(*t.realm_requirement)->last_level, t.level_requirement)
                << t.technique_id;
        }
    }
}

TEST(catalog, mistakes_name_file_and_entry) {
    EXPECT_THAT(changed_catalog().remove("items.json").mistake(),
                HasSubstr("items.json, entry -: the file is missing"));
    EXPECT_THAT(changed_catalog().replace("items.json", "[", "{").mistake(),
                HasSubstr("items.json"));
    EXPECT_THAT(changed_catalog()
                    .replace("techniques.json", "\"cloud_breathing\"", "\"basic_qi_gathering\"")
                    .mistake(),
                HasSubstr("techniques.json, entry basic_qi_gathering: the id stands twice"));
    EXPECT_THAT(
        changed_catalog().replace("realms.json", "\"lastLevel\": 9", "\"lastLevel\": 8").mistake(),
        HasSubstr("realms.json, entry zhuji: its levels must begin at 9"));
    EXPECT_THAT(changed_catalog().replace("monsters.json", "\"qi_pill\"", "\"pill\"").mistake(),
                HasSubstr("monsters.json, entry bamboo_spirit: there is no item \"pill\""));
    EXPECT_THAT(changed_catalog()
                    .replace("techniques.json", "\"energyCost\": 10", "\"energyCost\": -1")
                    .mistake(),
                HasSubstr("techniques.json, entry basic_qi_gathering: energyCost is -1"));
    EXPECT_THAT(
        changed_catalog().replace("techniques.json", "\"energyCost\"", "\"energyPrice\"").mistake(),
        HasSubstr("techniques.json, entry 0"));
    EXPECT_THAT(changed_catalog()
                    .replace("locations.json", "\"newbie_village\"", "\"Newbie village\"")
                    .mistake(),
                HasSubstr("locations.json, entry Newbie village"));
}

TEST(catalog, another_text_is_another_version) {
    const auto other =
        changed_catalog().replace("items.json", "\"basePrice\": 20", "\"basePrice\": 21").load();
    ASSERT_TRUE(other.has_value());
    EXPECT_NE(other->version(), catalog::builtin().version());
}

} // namespace
} // namespace immortal::game
