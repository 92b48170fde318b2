"""Hand-ordered heads of the name tables: which names are common among children of a group, most common first.

Common knowledge, written for this project; the long tails come from packages (scripts/tables.py). No weights here: ranks only.
"""

MUSLIM_M = """Muhammad Mohammed Ibrahim Yusuf Ali Ahmed Abdullah Omar Hamza Musa Isa Adam Zayd Ayaan Zakariya Yahya Idris Haroon Ismail Bilal Hassan
Hussain Umar Khalid Rayyan Daniyal Zain Mustafa Sulaiman Abdul Uthman Imran Amir Kareem Tariq Salman Hashim Eesa Dawud Faisal Nabil Sami Rashid
Jamal Anas Luqman Shayan Aariz Arham Zidane Saad Junaid Farhan Harris Usman Sufyan Taha Mikail Ilyas Jibril Ayub Kasim Riyad Nasir Adil Waleed"""
MUSLIM_F = """Aisha Fatima Maryam Zainab Khadija Amina Zara Hafsa Safiya Inaya Sumayyah Noor Layla Hana Aaliyah Zahra Mariam Sara Hiba Ruqayyah Asiya
Anaya Alisha Iqra Yasmin Samira Halima Nadia Sana Ameera Eshal Hoorain Ayat Haniya Nusaybah Salma Amelia Leila Rania Mahnoor Javeria Laiba Sidra
Aleena Huda Farah Rahma Sabrina Shazia Nabila Tasnim Raisa Marwa Lubna Anisa Nimra Malaika Dua Fiza Aminah Sofia Hawwa Sakina Jannat Bushra"""

GIVEN_HEADS = {
    "english": {
        "m": """Oliver George Harry Noah Jack Arthur Leo Oscar Charlie Muhammad Jacob Thomas Henry Freddie Alfie William Theo Archie Joshua James
Alexander Max Isaac Lucas Ethan Teddy Finley Mason Harrison Edward Joseph Logan Daniel Benjamin Samuel Sebastian Adam Arlo Dylan Elijah
Theodore Zachary Tommy Reuben Luca Riley Jude Hugo Toby Rory Ronnie Louie Frankie Reggie Jaxon Albie Ralph Roman Bobby Louis Jenson Stanley
Carter Elliot Caleb Albert Michael Grayson Gabriel Ezra Harvey David Hunter Jackson Blake Luke Ollie Matthew Frederick Rowan Ryan Tyler Nathan
Jayden Liam Connor Callum Cameron Kai Ellis Owen Elliott Felix Leon Ellis Robert Bradley Jamie Brodie Aiden Austin Ben Charles Christopher
Kian Evan Kayden Finn Sonny Jasper Milo Rupert Lewis Aaron Dexter Aidan Patrick John Zac Otis Nicholas Xavier Eli Jesse Stephen Andrew Ashton
Corey Declan Dominic Francis Ewan Gethin Rhys Dougie Fraser Angus Hamish Euan Craig Kieran Kyle Marcus Peter Mark Scott Sean Shaun Jordan
Joel Jonathan Jonah Josiah Kaiden Kane Keegan Leighton Lennon Lenny Mitchell Morgan Myles Nate Niall Tobias Travis Vincent Wilfred Winston""",
        "f": """Olivia Amelia Isla Ava Emily Isabella Mia Poppy Ella Lily Sophia Grace Evie Jessica Sophie Charlotte Daisy Freya Phoebe Alice
Florence Sienna Matilda Evelyn Willow Rosie Ruby Isabelle Elsie Chloe Ivy Millie Eva Harper Layla Sofia Lucy Erin Maisie Aria Imogen Elizabeth
Eliza Emma Molly Esme Scarlett Maya Ellie Lola Thea Luna Hannah Violet Emilia Maria Bonnie Penelope Arabella Georgia Zara Amber Nancy Robyn
Summer Holly Martha Orla Ada Aurora Margot Delilah Rose Lottie Abigail Darcie Mabel Megan Beatrice Edith Victoria Heidi Lara Hallie Leah
Lexi Darcey Iris Clara Felicity Katie Paige Lacey Bella Anna Katherine Rebecca Tilly Niamh Lyla Madison Maddison Sarah Gracie Eleanor Skye
Julia Lydia Harriet Eloise Faith Zoe Bethany Caitlin Amy Danielle Lauren Jasmine Keira Nicole Courtney Alexandra Samantha Rachel Laura Libby
Mollie Abbie Amelie Aimee Annabelle Francesca Gabriella Georgina Gwen Hollie Iona Isobel Jennifer Jodie Josephine Kate Kayla Kayleigh Kelsey
Kiera Kirsty Leila Maddie Madeleine Martha Mila Myla Naomi Natasha Nia Nina Ottilie Pippa Polly Rosa Seren Sienna Stella Tabitha Tia Zoey""",
    },
    "irish": {"m": "Conor Sean Oisin Cian Fionn Darragh Cillian Ronan Patrick Liam Rory Eoin Tadhg Finn Callum", "f": "Saoirse Aoife Ciara Niamh Roisin Caoimhe Orla Erin Clodagh Aisling Eimear Sinead Cara Grainne"},
    "polish": {"m": "Jakub Jan Antoni Filip Szymon Aleksander Franciszek Mikołaj Wojciech Kacper Adam Oliwier Michał Nikodem Oskar Łukasz Bartosz Maksymilian Krzysztof Mateusz", "f": "Zuzanna Julia Maja Zofia Hanna Lena Alicja Oliwia Maria Amelia Nadia Wiktoria Aleksandra Natalia Gabriela Małgorzata Emilia Michalina Łucja"},
    "romanian": {"m": "Andrei David Luca Matei Alexandru Gabriel Stefan Ștefan Mihai Ionuț Darius Cristian Rareș Vlad Robert", "f": "Maria Sofia Ioana Andreea Alexandra Elena Daria Antonia Gabriela Ana Bianca Denisa Ștefania Larisa Mădălina"},
    "bulgarian": {"m": "Georgi Aleksandar Martin Ivan Dimitar Nikola Daniel Kaloyan Viktor", "f": "Viktoria Maria Nikol Raya Aleksandra Sofia Gabriela Simona Yoana"},
    "baltic": {"m": "Lukas Jonas Domas Herkus Matas Jokūbas Roberts Markuss Gustavs Dominykas Nojus", "f": "Amelija Emilija Liepa Gabija Lėja Ugnė Sofija Evelīna Anna Austėja Elzė"},
    "slovak": {"m": "Jakub Adam Samuel Filip Tomáš Lukáš Matej Dávid Marek", "f": "Sofia Nina Nela Viktória Eliška Natália Ema Lucia Tereza"},
    "hungarian": {"m": "Bence Máté Levente Dominik Dávid Ádám Zsombor Noel Zoltán", "f": "Hanna Anna Zoé Luca Emma Jázmin Lilla Zsófia Boglárka"},
    "ukrainian": {"m": "Artem Oleksandr Maksym Dmytro Matvii Danylo Andrii Bohdan Nazar Kyrylo Yaroslav Mykyta", "f": "Sofiia Anna Mariia Polina Oleksandra Solomiia Viktoriia Daria Anastasiia Yeva Yuliia Zlata"},
    "spanish": {"m": "Mateo Hugo Lucas Pablo Daniel Alejandro Santiago Diego Álvaro Adrián Nicolás José Andrés", "f": "Sofía Martina Lucía Valentina María Paula Valeria Camila Isabella Carla Noa Inés Zoé"},
    "portuguese": {"m": "João Miguel Santiago Tomás Gabriel Afonso Rodrigo Martim Lourenço Tiago Gonçalo Rafael", "f": "Maria Leonor Matilde Beatriz Carolina Margarida Mariana Sofia Inês Lara Clara Francisca"},
    "italian": {"m": "Leonardo Francesco Alessandro Lorenzo Mattia Andrea Gabriele Matteo Riccardo Tommaso Niccolò", "f": "Sofia Giulia Aurora Alice Ginevra Emma Giorgia Beatrice Greta Vittoria Chiara Noemi"},
    "french": {"m": "Gabriel Raphaël Léo Louis Jules Adam Arthur Noé Théo Maël Hugo Rémi", "f": "Emma Jade Louise Alice Chloé Inès Léa Zoé Anaïs Éloïse Manon Camille"},
    "german": {"m": "Noah Leon Paul Ben Finn Elias Felix Jonas Maximilian Jürgen Lukas Björn", "f": "Emma Mia Hannah Emilia Sofia Lina Mila Clara Lea Johanna Greta Käthe"},
    "dutch": {"m": "Noah Daan Lucas Sem Levi Finn Luuk Bram Thijs Jesse Sven", "f": "Emma Julia Tess Sophie Zoë Sara Nora Yara Fleur Lotte Noor"},
    "turkish": {"m": "Yusuf Mustafa Emir Mehmet Ömer Ahmet Kerem Eymen Arda Emre Kaan Deniz Mert", "f": "Zeynep Elif Defne Azra Ecrin Nehir Ela Melisa Asya Esra Ayşe Selin Büşra Leyla"},
    "arab": {"m": MUSLIM_M, "f": MUSLIM_F},
    "somali": {"m": "Abdi Mohamed Ahmed Abdirahman Liban Guled Ayanle Zakaria Bilal Khalid Hamza Mahad Ilyas Yahye Abdullahi Ismail Suleiman Warsame Mustaf Yasin Nuur Farah Idiris Sharmarke", "f": "Hodan Ayaan Amina Fartun Halima Ifrah Sagal Sumaya Hibaq Fadumo Khadra Nasra Zamzam Idil Ubah Maryan Hamdi Filsan Sahra Naima Deqa Asma Hafsa Ikran"},
    "pakistani": {"m": MUSLIM_M, "f": MUSLIM_F},
    "bangladeshi": {"m": MUSLIM_M, "f": MUSLIM_F},
    "indian": {"m": "Aarav Arjun Vihaan Aryan Ishaan Krish Dhruv Rohan Advik Reyansh Vivaan Kabir Jai Aditya Harpreet Gurpreet Manraj Arnav Shaan Veer Rahul Karan Dev Nikhil Jasdeep", "f": "Anaya Saanvi Diya Aanya Myra Ananya Aadhya Kiara Priya Riya Simran Jasleen Kavya Isha Avani Harleen Meera Navya Anika Tara Krisha Pooja Nisha Amrit"},
    "chinese": {"m": "Haoran Zihan Yichen Junjie Haoyu Yifan Jason Ryan Wei Ming Lucas Kevin Yiyang Tianyu", "f": "Yutong Xinyi Zixuan Yihan Jiayi Emily Yuxin Mei Sophie Grace Xinyue Yinuo Siyu Chloe"},
    "vietnamese": {"m": "Minh Anh Duc Bao Khoi Nam Quang Huy Long Tuan Andy Kevin Hieu Phuc", "f": "Linh Anh Ngoc Thao Mai Trang Chi My Huong Vy Lan Nhi Ha Jenny"},
    "african": {"m": "Emmanuel David Daniel Samuel Joshua Michael Joseph Nathan Caleb Elijah Ethan Kwame Kofi Jayden Oluwaseun Tobi Chidi Emeka Ayomide Ifeanyi Temitope Nana Isaac Gabriel", "f": "Grace Esther Deborah Precious Blessing Favour Abigail Sarah Chloe Ama Adaeze Oluwaseyi Ayomide Chioma Temiloluwa Mercy Divine Joy Naomi Hannah Akua Zoe Ngozi Tiwa"},
    "kenyan": {"m": "Brian Kevin Ian Ethan Jayden Liam", "f": "Faith Mercy Tiffany Hope Natalie Joy"},
}

FAMILY_HEADS = {
    "irish": "Murphy Kelly O'Sullivan Walsh Byrne Ryan O'Brien O'Connor O'Neill O'Reilly Doyle McCarthy Gallagher Doherty Kennedy Lynch Murray Quinn Moore McLoughlin O'Donnell O'Connell",
    "polish": "Nowak Kowalski Wiśniewski Wójcik Kowalczyk Kamiński Lewandowski Zieliński Szymański Woźniak Dąbrowski Kozłowski Jankowski Mazur Krawczyk",
    "romanian": "Popa Popescu Ionescu Pop Radu Dumitru Stan Stoica Gheorghe Matei Ciobanu Rusu Constantin Marin Munteanu Florea Lazăr",
    "bulgarian": "Ivanov Georgiev Dimitrov Petrov Nikolov Hristov Stoyanov Todorov Iliev Vasilev Angelov Petkov Yordanov",
    "baltic": "Bērziņš Kazlauskas Kalniņš Petrauskas Jankauskas Ozoliņš Stankevičius Butkus Žukauskas Kavaliauskas Balčiūnas Paulauskas",
    "ukrainian": "Melnyk Shevchenko Boyko Kovalenko Bondarenko Tkachenko Kovalchuk Kravchenko Oliinyk Shevchuk Koval Polishchuk Marchenko",
    "arab": "Ali Ahmed Hassan Mohamed Ibrahim Hussein Saleh Abdullah Khalil Mahmoud Osman Mansour Nasser Haddad Khoury Al-Hashimi Al-Ahmad El-Sayed Hamid Saeed Aziz Said Rahimi Ahmadi Karimi",
    "somali": "Ali Mohamed Hassan Abdi Ahmed Hussein Omar Farah Warsame Osman Yusuf Ibrahim Jama Nur Adan Aden Abdullahi Ismail Isse Duale Mohamud Elmi Samatar Guled Abukar Hirsi",
    "pakistani": "Khan Hussain Ahmed Ali Akhtar Mahmood Iqbal Malik Shah Begum Bibi Butt Raja Mirza Rashid Aslam Saleem Khalid Nawaz Qureshi Chaudhry Sheikh Bashir Aziz Hanif Shabir Rehman Kauser Mehmood Zaman Rafiq Sadiq Yousaf Arshad Riaz",
    "bangladeshi": "Begum Ahmed Miah Ali Islam Uddin Hussain Rahman Khan Chowdhury Khatun Hoque Hossain Alam Choudhury Haque Akhtar Sultana Khanom Kabir Karim Alom Abdul Ullah Islam Jahan Sarkar Talukdar Bibi Ahmad Hassan Mia Parvin Nessa Syed",
    "indian": "Patel Singh Kaur Sharma Shah Kumar Gill Sandhu Dhillon Mistry Joshi Mehta Desai Rao Reddy Nair Devi Gupta Verma Sidhu Grewal Bains Chauhan Parmar Solanki",
    "chinese": "Wang Li Chen Zhang Liu Lin Wong Chan Huang Yang Lee Zhao Wu Zhou Xu Cheung Lam Ng Leung Tang Ho",
    "vietnamese": "Nguyễn Tran Nguyen Le Pham Hoang Vu Phan Dang Bui Do Ho Ngo Duong Ly Truong Dinh Lam Vo Huynh Trinh Luong Mai Dao",
    "spanish": "García Rodríguez González Fernández López Martínez Sánchez Pérez Gómez Díaz Torres Ramírez",
    "portuguese": "Silva Santos Ferreira Pereira Oliveira Costa Rodrigues Martins Fernandes Gonçalves Gomes Lopes Sousa Azevedo",
    "italian": "Rossi Russo Ferrari Esposito Bianchi Romano Colombo Ricci Marino Greco Bruno Conti",
    "german": "Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Schäfer Köhler Krüger",
    "dutch": "Bakker Visser Smit Meijer Mulder Bos Vos Peters Hendriks Dekker Brouwer",
    "turkish": "Yılmaz Kaya Demir Şahin Çelik Yıldız Öztürk Aydın Özdemir Arslan Doğan Kılıç Aslan Çetin Koç",
    "african": "Mensah Owusu Adeyemi Boateng Okafor Osei Asante Okonkwo Appiah Addo Adebayo Eze Oyelaran Ogunleye Balogun Nwosu Okoro Obi Abiola Agyemang Amoah Antwi Olawale Sesay Kamara Conteh",
    "french": "Martin Bernard Dubois Petit Durand Leroy Moreau Lefèvre Fournier Mercier",
    "hungarian": "Nagy Kovács Tóth Szabó Horváth Varga Kiss Molnár Németh Farkas",
    "slovak": "Horváth Kováč Varga Tóth Nagy Baláž Novák Gábor Oláh Lakatoš",
}

# Parts of British place-names that make family names.
STEMS = """Ack Ald All Ash Att Barn Bas Beck Berk Birk Black Blake Bland Bol Bos Brad Bran Brink Brock Brom Buck Bur Cal Car Chad Charl Chat
Clay Clif Cole Copp Cran Craw Crom Crow Dal Dar Den Din Don Dray Dun Eas Eld Elm Ever Fair Farn Fen Field Fox Gar Gil Glad Good Green Had Hag Hal
Ham Har Hart Hat Haw Hay Haz Hel Hen Hep Her Hey High Hol Hop Hor Hough Hunt Hur Hut Ing Kel Ken Kil Kirk Knap Lan Lang Lang Leigh Lin Lit Lock Long
Mal Mar Mel Mer Mid Mil Mor Moss Mun Nes New Nor Oak Old Orm Os Ought Pad Pem Pen Pick Pil Pin Pres Rad Ram Rat Raw Red Ridge Ris Rod Row
Rush Ruth Sal San Sax Sed Sel Shef Shel Ship Short Shut Sid Sil Skel Stan Stap Stock Stone Strat Sut Swan Swin Tar Tat Tem Thorn Thur Til Town
Trent Tun Twi Up Wad Wake Wal War Wat Weather Wel West Whit Wick Wil Win Wood Wor Wrath Yar""".split()
SUFFIXES = "bourne bridge brook bury combe cott croft dale den field ford gate ham hurst land ley man more ridge shaw side stead ton wall well wick wood worth".split()

SPELLINGS = """Catherine Katherine Kathryn Catharine
Sophie Sofie
Sophia Sofia
Isobel Isabel Isabelle Isobelle
Zoe Zoey Zoë
Niamh Neve
Jodie Jodi Jody
Callum Calum
Connor Conor
Stephen Steven
Sean Shaun Shawn
Geoffrey Jeffrey
Lewis Louis
Elliot Elliott Eliot
Harriet Harriett
Lily Lilly Lillie
Ellie Elly
Evie Evey
Chloe Khloe Cloe
Caitlin Kaitlyn Katelyn
Rhys Reece Rhys
Aidan Aiden Ayden
Zachary Zackary Zachery
Freya Freyja
Phoebe Pheobe Febe
Darcy Darcie Darcey
Maisie Maisy Maizie
Jon John
Toby Tobey
Jayden Jaiden Jaden
Finley Finlay Findlay
Theodore Theodor
Teddy Teddie
Frederick Fredrick Frederic
Megan Meghan Meagan
Abigail Abigale Abbigail
Smith Smyth Smythe
Clark Clarke
Brown Browne
Taylor Tayler Tailor
Davies Davis
Thompson Thomson
Stevens Stephens
Stevenson Stephenson
Phillips Philips
Green Greene
Reid Reed Read
Allen Allan
Matthews Mathews
Nicholson Nicolson
Harrison Harison
Simpson Simson
Rogers Rodgers
Hughes Hewes
White Whyte
Wood Woods
Shaw Shore
Connolly Connelly Conolly
O'Neill O'Neil
Mackenzie McKenzie
MacDonald McDonald Macdonald
Bailey Bayley Baillie
Barker Parker
Lawrence Laurence
Knight Night
Pearce Pierce
Payne Paine
Francis Frances
Ellis Elliss
Moore More""".splitlines()

TRANSLITERATIONS = """Muhammad Mohammed Mohammad Mohamed Muhammed Mohamad
Ahmed Ahmad Ahmet
Hussain Hussein Husain Hussan
Hassan Hasan
Yusuf Yousef Yousuf Yusef
Aisha Ayesha Aysha Aicha
Fatima Fatimah Fatema
Zainab Zaynab Zeinab
Khadija Khadijah Khadeeja
Maryam Mariam Meryem Maryan
Abdullah Abdallah Abdulla
Abdul Abdel Abdal
Ibrahim Ebrahim Ibraheem
Ismail Esmail Ismael Ismaeel
Sulaiman Suleiman Suleman Solomon
Umar Omar Omer
Uthman Usman Osman
Musa Moosa Mousa
Isa Eesa Essa
Yahya Yahia Yehia
Haroon Harun Haroun
Zakariya Zakaria Zakariah
Idris Idrees Edris
Layla Leila Laila Leyla
Noor Nur Nour Noora
Aaliyah Aliyah Aleya Alia
Sumayyah Sumaya Somaya
Safiya Safiyyah Safia
Khalid Khaled
Rashid Rasheed
Jamal Gamal Jamaal
Saeed Said Sayeed
Rahman Rehman
Chowdhury Choudhury Chaudhry Chaudhary Choudhry
Miah Mia Miya
Hoque Haque Haq
Begum Begam
Akhtar Akter Akther
Uddin Udin Ud-Din
Mahmood Mahmud Mehmood Mahmoud
Qureshi Quraishi Kureshi
Sheikh Shaikh Sheik
Iqbal Eqbal
Mukherjee Mukharji
Banerjee Banerji
Singh Sing
Kaur Kour
Oleksandr Olexandr Alexander
Oleksandra Olexandra Alexandra
Sofiia Sofia Sophia
Dmytro Dmitro Dmitry
Mykyta Nikita
Yuliia Julia Yulia
Anastasiia Anastasia
Mariia Maria
Andrii Andrey Andriy
Kyrylo Kirill
Aleksandar Alexander
Nguyễn Nguyen
Wong Huang Wang
Chan Chen
Zhang Cheung
Lee Li
Yılmaz Yilmaz
Şahin Sahin
Müller Mueller Muller
Schäfer Schaefer Schafer
Kowalski Kovalski
Wójcik Wojcik
Łukasz Lukasz Lucas
Michał Michal Michael
Mikołaj Mikolaj Nikolai
Wiktoria Victoria
Gheorghe George
Ștefan Stefan Stephan
Abdirahman Abdurahman Abdulrahman
Fadumo Faduma Fatuma
Jama Jamac Jamaa
Yahye Yahya
Okonkwo Okonkwor
Oluwaseun Seun
Björn Bjorn
João Joao
Lucía Lucia""".splitlines()
