"""A small catalogue in Chinese, readers who like some of its topics, and a BERT with a Chinese tokenizer."""
# ruff: noqa: RUF001 - full-width punctuation is how Chinese is written

import numpy as np

TOPICS = {
    "科幻": [
        ("星际灯塔", "飞船在黑暗的宇宙里航行，船员发现一座为外星文明指路的灯塔。"),
        ("最后一艘飞船", "地球停止转动，人类登上最后一艘飞船，飞向遥远的恒星。"),
        ("机器人的梦", "机器人第一次做梦，科学家想知道人工智能有没有灵魂。"),
        ("火星来信", "火星基地的科学家收到外星文明的信号，地球却无人回答。"),
        ("时间之门", "物理学家打开时间之门，飞船穿过黑洞，回到宇宙诞生的时刻。"),
    ],
    "武侠": [
        ("青山剑客", "少年拜入剑派，下山行走江湖，为师父报仇。"),
        ("雪夜刀声", "大侠退出江湖多年，一把旧刀又把仇家引到雪夜的客栈。"),
        ("无名掌门", "掌门失踪，各派弟子比武夺剑，江湖大乱。"),
        ("竹林秘笈", "一本武功秘笈藏在竹林，侠客们拔刀相向。"),
        ("渡口侠影", "渡口的船夫原是侠客，他用剑护送师父的女儿过江。"),
    ],
    "美食": [
        ("外婆的厨房", "从和面到煮汤，外婆教你做四十道家常菜。"),
        ("川味手册", "花椒、辣椒和豆瓣酱：在家炒出地道的川菜。"),
        ("面包时间", "揉面、发酵、烘烤，新手也能烤出香软的面包。"),
        ("一碗好汤", "广东师傅讲解煲汤的火候与食材，附三十种汤的做法。"),
        ("街边小吃", "作者走遍夜市，记录饺子、凉粉与烤串的做法和味道。"),
    ],
    "旅行": [
        ("骑行西藏", "三个朋友骑车翻越雪山，沿途的湖泊与寺庙让人难忘。"),
        ("海岛日记", "在南方海岛住了一年，潜水、看日落，写下旅途日记。"),
        ("草原列车", "坐火车穿越草原和沙漠，旅途上遇见牧民与候鸟。"),
        ("古城地图", "带着一张地图漫步古城，寻找老街、城墙和客栈。"),
        ("背包去远方", "背包客的旅途指南：签证、路线、住宿与雪山徒步。"),
    ],
    "编程": [
        ("Python入门", "零基础学习Python编程，从变量、函数到数据分析。"),
        ("算法图解", "用图画解释排序、查找与动态规划算法，附代码。"),
        ("数据库实战", "学习SQL语句、索引与事务，写出高效的数据库代码。"),
        ("机器学习笔记", "用Python代码实现回归、聚类和神经网络算法。"),
        ("网站开发", "前端页面与后端接口：程序员用代码搭建一个网站。"),
    ],
    "历史": [
        ("长安岁月", "唐朝长安城的百姓、商人与皇帝，一部都城的历史。"),
        ("丝路商队", "骆驼商队沿丝绸之路西行，带去瓷器，带回古代的传说。"),
        ("王朝兴亡", "从秦朝到清朝，历史学家讲述王朝为何兴起又衰落。"),
        ("运河往事", "大运河连接南北，皇帝下江南，粮船往来，留下古代的往事。"),
        ("青铜时代", "考古学家在商朝古墓里发现青铜器，重写古代历史。"),
    ],
    "儿童": [
        ("小熊找蜂蜜", "小熊和小兔子在森林里找蜂蜜，学会了分享。"),
        ("月亮船", "小女孩坐着月亮船，和星星小朋友一起唱歌，适合睡前阅读。"),
        ("会飞的大象", "大象长出翅膀，带着森林里的小动物飞上天空。"),
        ("雨滴旅行记", "小雨滴从云朵落到小河，认识了小鱼和青蛙朋友。"),
        ("爸爸的大衣", "小兔子躲进爸爸的大衣里，睡前听爸爸讲故事。"),
    ],
    "音乐": [
        ("钢琴练习曲", "从音阶到和弦，每天半小时的钢琴练习，附乐谱。"),
        ("二胡的声音", "民乐演奏家讲述二胡与琵琶，旋律里有半生故事。"),
        ("摇滚年代", "乐队、吉他和鼓声：一代人的摇滚乐与演唱会。"),
        ("听懂交响乐", "指挥家带你听懂交响乐的旋律、节奏与和声。"),
        ("民谣地图", "歌手背着吉他走遍小镇，收集民谣的旋律与歌词。"),
    ],
}
NEW = {  # a new item of each topic
    "科幻": ("光年之外", "飞船驶向外星文明，科学家在宇宙尽头发现新的恒星。"),
    "武侠": ("断剑", "侠客带着断剑重回江湖，为师父寻找仇家。"),
    "美食": ("四季家常菜", "按季节教你做菜和煲汤，炒菜的火候与食材都讲清楚。"),
    "旅行": ("沙漠公路", "开车穿越沙漠与雪山，一路写下旅途日记和路线。"),
    "编程": ("Python数据分析", "学习用Python代码处理数据，附算法与函数的练习。"),
    "历史": ("宋朝风物", "历史学家讲述宋朝都城的商人、瓷器和古代生活。"),
    "儿童": ("小鱼学游泳", "小鱼和青蛙朋友在小河里比赛，睡前讲给小朋友听。"),
    "音乐": ("吉他入门", "从和弦到节奏，学会弹吉他，附民谣乐谱与旋律练习。"),
}
N_READERS = 24  # three of each topic
SIMPLIFIED, TRADITIONAL = "星际穿越历史学习编程飞船", "星際穿越歷史學習編程飛船"
TO_SIMPLIFIED = str.maketrans(TRADITIONAL, SIMPLIFIED)
HIDDEN = 64
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def catalogue():
    """Items as a frame: the id, the title and a description, all in Chinese, and the topic."""
    import pandas as pd

    rows = [
        (f"书{topic}{number}", title, text, topic)
        for topic, items in TOPICS.items()
        for number, (title, text) in enumerate([*items], start=1)
    ]
    return pd.DataFrame(rows, columns=["编号", "标题", "简介", "类别"])


def new_items():
    """The new items as a frame with the columns of the catalogue."""
    import pandas as pd

    rows = [(f"新书{topic}", title, text, topic) for topic, (title, text) in NEW.items()]
    return pd.DataFrame(rows, columns=["编号", "标题", "简介", "类别"])


def readings(seed=0):
    """Interactions: every reader reads most of one topic and one item of another, drawn at random."""
    import pandas as pd

    rng, items, topics = np.random.default_rng(seed), catalogue(), list(TOPICS)
    rows = []
    for reader in range(N_READERS):
        favourite = topics[reader % len(topics)]
        of_topic = items.index[items["类别"] == favourite]
        others = items.index[items["类别"] != favourite]
        read = items.loc[[*rng.permutation(of_topic)[:4], rng.choice(others)]]
        rows.append(read.assign(读者=f"读者{reader}", 爱好=favourite))
    return pd.concat(rows, ignore_index=True)


def all_texts():
    """Everything that is written in the catalogue."""
    pairs = [pair for items in TOPICS.values() for pair in items] + list(NEW.values())
    return [text for pair in pairs for text in pair]


def vocabulary():
    """Tokens as in Chinese BERTs: single characters, punctuation, letters and digits that start or go on a word."""
    characters = sorted({c for text in [*all_texts(), SIMPLIFIED, TRADITIONAL] for c in text if not c.isascii()})
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    punctuation = [c for c in "，。、：；！？《》（）“”·,.:;!?()-'\"" if c not in characters]
    words = ["python", "sql"]
    return [*SPECIAL, *characters, *punctuation, *letters, *(f"##{c}" for c in letters), *words]


def save_chinese_bert(folder, *, seed=0):
    """A two-layer BERT with random weights and BERT's own tokenizer, which takes Chinese apart into characters."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    vocab = {token: number for number, token in enumerate(vocabulary())}
    BertTokenizer(vocab=vocab, tokenize_chinese_chars=True, model_max_length=64).save_pretrained(folder)
    config = BertConfig(
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        vocab_size=len(vocab),
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        BertModel(config).save_pretrained(folder)
    return folder
