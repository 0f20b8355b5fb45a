"""Vocabulary of the synthetic data: topics, their concepts, and three synonyms per concept."""
# ruff: noqa: RUF001 - full-width punctuation is Chinese punctuation

# topic -> concepts; the words of a concept are near-synonyms, and no word belongs to two concepts
ENGLISH = {
    "sea": "ship vessel boat|sailor mariner seafarer|storm gale tempest|harbour port haven|island isle atoll|"
    "captain skipper helmsman",
    "space": "rocket spacecraft shuttle|astronaut cosmonaut spaceman|galaxy nebula cosmos|"
    "alien extraterrestrial martian|planet asteroid moon|telescope observatory satellite",
    "love": "romance courtship love|kiss embrace caress|wedding marriage nuptials|sweetheart darling beloved|"
    "passion desire longing|bride fiancee newlywed",
    "war": "battle combat fighting|soldier trooper infantryman|army regiment platoon|tank artillery cannon|"
    "trench bunker dugout|victory triumph conquest",
    "crime": "murder homicide killing|detective investigator sleuth|thief burglar robber|"
    "policeman constable sheriff|clue evidence proof|prison jail dungeon",
    "food": "chef cook baker|recipe dish meal|kitchen restaurant bistro|bread pastry cake|spice herb seasoning|"
    "feast banquet supper",
    "music": "song melody tune|singer vocalist crooner|guitar violin piano|concert recital gig|"
    "orchestra ensemble choir|drummer bassist pianist",
    "sport": "football soccer rugby|coach trainer instructor|race sprint marathon|champion winner medallist|"
    "stadium arena racetrack|goalkeeper striker athlete",
    "magic": "wizard sorcerer magician|spell incantation enchantment|dragon griffin unicorn|castle palace fortress|"
    "witch enchantress sorceress|wand amulet talisman",
    "horror": "ghost spectre phantom|terror dread horror|vampire zombie werewolf|graveyard cemetery tomb|"
    "scream shriek howl|blood gore corpse",
    "family": "mother mum parent|child kid toddler|home household cottage|grandmother granny nana|"
    "birthday anniversary christening|puppy kitten hamster",
    "nature": "forest woodland jungle|mountain peak summit|river stream brook|bear wolf fox|bird eagle hawk|"
    "flower blossom petal",
}
CHINESE = {
    "sea": "轮船 帆船 舰艇|水手 船员 海员|风暴 狂风 暴雨|港口 码头 海港|岛屿 小岛 群岛|船长 舵手 大副",
    "space": "火箭 飞船 航天器|宇航员 太空人 航天员|银河 星云 宇宙|外星人 火星人 天外来客|行星 月球 小行星|"
    "望远镜 天文台 卫星",
    "love": "爱情 恋爱 浪漫|亲吻 拥抱 牵手|婚礼 结婚 成亲|恋人 情侣 爱人|热情 渴望 思念|新娘 未婚妻 嫁衣",
    "war": "战争 战斗 作战|士兵 军人 步兵|军队 部队 兵团|坦克 大炮 火炮|战壕 碉堡 掩体|胜利 凯旋 征服",
    "crime": "谋杀 凶杀 杀人|侦探 探员 神探|小偷 盗贼 窃贼|警察 警官 刑警|线索 证据 罪证|监狱 牢房 看守所",
    "food": "厨师 大厨 面点师|食谱 菜肴 佳肴|厨房 餐厅 饭馆|面包 蛋糕 点心|香料 调料 佐料|宴会 酒席 晚餐",
    "music": "歌曲 旋律 曲调|歌手 歌星 演唱者|吉他 小提琴 钢琴|音乐会 演奏会 演唱会|乐队 乐团 合唱团|鼓手 贝斯手 琴师",
    "sport": "足球 橄榄球 篮球|教练 领队 指导|赛跑 冲刺 马拉松|冠军 金牌 夺冠|体育场 球场 赛场|守门员 前锋 运动员",
    "magic": "巫师 法师 魔法师|咒语 魔咒 符咒|巨龙 独角兽 狮鹫|城堡 宫殿 要塞|女巫 巫婆 魔女|魔杖 护身符 法宝",
    "horror": "鬼魂 幽灵 亡灵|恐怖 惊悚 恐惧|吸血鬼 僵尸 狼人|坟墓 墓地 陵园|尖叫 惨叫 哀嚎|鲜血 尸体 骷髅",
    "family": "母亲 妈妈 双亲|孩子 儿童 小孩|家庭 家园 老屋|奶奶 外婆 祖母|生日 周年 满月|小狗 小猫 宠物",
    "nature": "森林 树林 丛林|高山 山峰 山顶|河流 小溪 江水|棕熊 灰狼 狐狸|飞鸟 老鹰 猎鹰|花朵 鲜花 花瓣",
}
# patterns with placeholders for words, and adjectives that do not depend on the topic
PHRASES = {
    "en": {
        "title": ("The {}", "{} and {}", "The last {}", "My {}", "{} or {}"),
        "description": (
            "A {adjective} story of {}, {} and {}.",
            "This {adjective} work brings together {}, {} and {}.",
            "{}, {}: a {adjective} tale in which all turns on {}.",
        ),
        "about": ("Likes {}, {} and {}.", "Always looking for {}, {} or {}."),
        "adjectives": ("long", "short", "quiet", "famous", "forgotten", "celebrated", "strange", "modest"),
    },
    "zh": {
        "title": ("{}", "{}与{}", "{}的故事", "我的{}", "最后的{}"),
        "description": (
            "一部{adjective}的作品，讲述{}、{}和{}。",
            "{}、{}：在这个{adjective}的故事里，一切都离不开{}。",
        ),
        "about": ("喜欢{}、{}和{}。", "总在寻找{}、{}或{}。"),
        "adjectives": ("漫长", "简短", "安静", "著名", "经典", "奇特", "朴素", "新颖"),
    },
}


def concepts(language: str) -> dict[str, list[list[str]]]:
    """Return the words of every concept of every topic.

    Parameters
    ----------
    language : {"en", "zh"}

    Returns
    -------
    dict of str to list of list of str
        Twelve topics with six concepts of three words each.
    """
    topics = {"en": ENGLISH, "zh": CHINESE}[language]
    return {topic: [concept.split() for concept in text.split("|")] for topic, text in topics.items()}
